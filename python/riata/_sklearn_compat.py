"""What changed between scikit-learn 1.2 and today, in one place."""

from __future__ import annotations

from typing import Any

import sklearn

_VERSION = tuple(int(part) for part in sklearn.__version__.split(".")[:2])

if _VERSION >= (1, 6):
    from sklearn.utils.validation import validate_data

    class CoderTags:
        """float32 stays float32; `_requires_fit` says whether transform needs fit."""

        _requires_fit = True

        def __sklearn_tags__(self) -> Any:
            tags = super().__sklearn_tags__()
            tags.requires_fit = self._requires_fit
            tags.transformer_tags.preserves_dtype = ["float64", "float32"]
            return tags

else:

    def validate_data(estimator: Any, X: Any, **options: Any) -> Any:
        return estimator._validate_data(X, **options)

    class CoderTags:
        """float32 stays float32; `_requires_fit` says whether transform needs fit."""

        _requires_fit = True

        def _more_tags(self) -> dict[str, Any]:
            return {"requires_fit": self._requires_fit, "preserves_dtype": ["float64", "float32"]}


__all__ = ["CoderTags", "validate_data"]
