"""What a fit says, in records that can be saved, printed and drawn."""

from cogfit.result.account import Account, choice_in_words
from cogfit.result.fit_result import SCHEMA, FitResult
from cogfit.result.form_fit import FormFit
from cogfit.result.storage import is_fit, load

__all__ = ["SCHEMA", "Account", "FitResult", "FormFit", "choice_in_words", "is_fit", "load"]
