"""Human memory data, and a model beside them."""
