"""Human learning and forgetting data, their fits, and a model beside them."""
