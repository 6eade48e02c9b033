"""Mistakes a user can make and mend.

Every message is one clear line (or a short paragraph) that names the thing that is wrong, what was
found, and where possible what to do. A bug of ours is an `AssertionError`, never one of these.
"""


class EtaceError(Exception):
    """Base class of all errors that etace raises about its input."""


class SpecError(EtaceError):
    """A spec is wrong: each mistake under its line, so several lines."""


class RequestError(EtaceError):
    """What was asked for is not in the file: another model, an override of a finished one."""


class StructureError(EtaceError):
    """A structure that cannot be evaluated. Messages count atoms from 0, as ASE does."""


class PrecisionError(EtaceError):
    """The dtype of an array, of a module and the mode of JAX do not agree."""


class ModelFileError(EtaceError):
    """A model file that cannot be read or written."""


class ParameterError(EtaceError):
    """A parameter of a model or of a function with a wrong value or shape."""


class DataError(EtaceError):
    """Labelled structures that cannot be read, or labels that are missing or wrong."""


class NoFileError(DataError, RequestError):
    """Files of structures that are not there, or are named twice."""


class EtaceWarning(UserWarning):
    """Base class of all warnings that etace raises about its input."""


class DomainWarning(EtaceWarning):
    """A structure has what no training structure of the model had; see `etace.domain`."""


class UnfittedWarning(EtaceWarning):
    """A model is evaluated whose parameters are where they start: nobody has fitted it."""


class NoDigestWarning(EtaceWarning):
    """A file of etace 0.1, which carries no digest: whether it is whole cannot be checked."""
