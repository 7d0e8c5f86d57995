"""What goes wrong while a program is compiled."""

from __future__ import annotations

import enum
import linecache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_FOOTER = (
    "\nSet TORCHDYNAMO_VERBOSE=1 for the internal stack trace (please do this especially if you're reporting a bug to "
    'PyTorch). For even more developer context, set TORCH_LOGS="+dynamo"\n'
)


class TorchDynamoException(RuntimeError):  # noqa: N818 - PyTorch's name, as all below
    """Any of these errors."""


class InternalTorchDynamoError(TorchDynamoException):
    """Compiling failed by a mistake of the compiler."""


class ResumePrologueTracingError(TorchDynamoException):
    """The part of a program behind a break could not be entered."""


class RestartAnalysis(TorchDynamoException):
    """Compiling has to start again with other assumptions."""

    def __init__(self, *args: Any, restart_reason: str | None = None) -> None:
        self.restart_reason = restart_reason
        super().__init__(*args)


class SpeculationRestartAnalysis(RestartAnalysis):
    """A guess about the program was wrong."""


class UnspecializeRestartAnalysis(RestartAnalysis):
    """A number may not be taken as a constant."""


class CompileCollectiveRestartAnalysis(RestartAnalysis):
    """The other processes know more."""


class TensorifyScalarRestartAnalysis(RestartAnalysis):
    """A number has to become a tensor."""


class AutogradGradRestartAnalysis(RestartAnalysis):
    """Gradients are taken inside the program."""


class RequiresGradRestartAnalysis(RestartAnalysis):
    """A tensor starts to require gradients inside the program."""


class SkipFrame(TorchDynamoException):
    """A function is left to Python."""


class StepUnsupported(TorchDynamoException):
    """A step of a function is left to Python."""


class TorchRuntimeError(TorchDynamoException):
    """An operation of the program fails."""

    def __init__(self, msg: str, real_stack: Any = None) -> None:
        super().__init__(msg)
        self.msg, self.real_stack = msg, real_stack


class InvalidBackend(TorchDynamoException):
    """There is no backend of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Invalid backend: {name!r}, see `torch._dynamo.list_backends()` for available backends.")


class ResetRequired(TorchDynamoException):
    """The backend of a compiled function cannot be changed."""

    def __init__(self) -> None:
        super().__init__(
            "\nMust call `torch._dynamo.reset()` before changing backends.  Detected two calls to\n`torch.compile()` "
            "with a different backend compiler arguments.\n"
        )


class ShortenTraceback(TorchDynamoException):
    """An error whose own frames are of no interest to the program's author."""

    def __init__(self, *args: Any, first_useful_frame: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.first_useful_frame = first_useful_frame

    def remove_dynamo_frames(self) -> ShortenTraceback:
        """The error without the compiler's frames."""
        return self.with_traceback(None)


class BackendCompilerFailed(ShortenTraceback):
    """The backend raised an error."""

    def __init__(self, backend_fn: Any, inner_exception: Exception, first_useful_frame: Any = None) -> None:
        self.backend_name = getattr(backend_fn, "__name__", "?")
        self.inner_exception = inner_exception
        msg = (
            f"backend={self.backend_name!r} raised:\n{type(inner_exception).__name__}: {inner_exception}\n{_FOOTER}"
        )
        super().__init__(msg, first_useful_frame=first_useful_frame)


class Unsupported(TorchDynamoException):
    """The program does something that no graph can hold."""

    def __init__(
        self, msg: str, gb_type: str = "", skip_frame: bool = False, *, case_name: str | None = None,
        real_stack: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(msg)
        self.msg, self.gb_type, self.skip_frame = msg, gb_type, skip_frame
        self.case_name, self.real_stack = case_name, real_stack


class PackageError(TorchDynamoException):
    """A stored program cannot be used."""


class RecompileError(TorchDynamoException):
    """A function would be compiled again, and may not be."""


class FailOnRecompileLimitHit(Exception):
    """A function was compiled for too many kinds of arguments."""


class InfiniteGeneratorError(TorchDynamoException):
    """A generator does not end."""


class CondOpArgsMismatchError(TorchDynamoException):
    """The branches of ``torch.cond`` give different kinds of results."""


class UncapturedHigherOrderOpError(TorchDynamoException):
    """A function that an operation takes cannot be part of a graph."""


class UnsafeScriptObjectError(TorchDynamoException):
    """A script object cannot be part of a graph."""


class UnknownPropertiesDuringBackwardTrace(TorchDynamoException):
    """Something about a tensor is not known while its gradient is compiled."""


class UserErrorType(enum.Enum):
    """What a program does wrong."""

    DYNAMIC_CONTROL_FLOW = enum.auto()
    ANTI_PATTERN = enum.auto()
    STANDARD_LIBRARY = enum.auto()
    CONSTRAINT_VIOLATION = enum.auto()
    DYNAMIC_DIM = enum.auto()
    INVALID_INPUT = enum.auto()
    INVALID_OUTPUT = enum.auto()
    UNSUPPORTED_ALIASED_MUTATED_DYNAMIC_INPUTS = enum.auto()


class UserError(TorchDynamoException):
    """The program does something that its author can mend."""

    def __init__(self, error_type: UserErrorType, msg: str, case_name: str | None = None) -> None:
        super().__init__(msg)
        self.error_type, self.message, self.case_name = error_type, msg, case_name


class ObservedException(TorchDynamoException):
    """The program raises an error."""


class ObservedUserStopIteration(ObservedException):
    """The program raises StopIteration."""


class ObservedLookupError(ObservedException):
    """The program raises LookupError."""


class ObservedIndexError(ObservedLookupError):
    """The program raises IndexError."""


class ObservedKeyError(ObservedLookupError):
    """The program raises KeyError."""


class ObservedGeneratorExit(ObservedException):
    """The program raises GeneratorExit."""


class ObservedAttributeError(ObservedException):
    """The program raises AttributeError."""


class ObservedRuntimeError(ObservedException):
    """The program raises RuntimeError."""


class ObservedNotImplementedError(ObservedException):
    """The program raises NotImplementedError."""


class ObservedTypeError(ObservedException):
    """The program raises TypeError."""


_OBSERVED: dict[type[BaseException], type[ObservedException]] = {
    StopIteration: ObservedUserStopIteration, LookupError: ObservedLookupError, IndexError: ObservedIndexError,
    KeyError: ObservedKeyError, GeneratorExit: ObservedGeneratorExit, AttributeError: ObservedAttributeError,
    RuntimeError: ObservedRuntimeError, NotImplementedError: ObservedNotImplementedError,
    TypeError: ObservedTypeError,
}  # fmt: skip


def get_dynamo_observed_exception(exc_type: type[BaseException]) -> type[ObservedException]:
    """The class that stands for an error that a program raises."""
    return _OBSERVED.get(exc_type, ObservedException)


def raise_observed_exception(exc_type: type[Exception], tx: Any, *, args: Any = None, kwargs: Any = None) -> NoReturn:
    """Raise the class that stands for an error of the program."""
    raise get_dynamo_observed_exception(exc_type)(*(args or ()))


def raise_type_error(tx: Any, msg: str) -> NoReturn:
    """Raise what stands for a TypeError of the program."""
    raise_observed_exception(TypeError, tx, args=[msg])


def break_text(gb_type: str, context: str, explanation: str, hints: list[str]) -> str:
    """The text of an ``Unsupported``."""
    shown = "".join(f"  Hint: {hint}\n" for hint in hints)
    return f"{gb_type}\n  Explanation: {explanation}\n{shown}\n  Developer debug context: {context}"


def unimplemented(
    *, gb_type: str, context: str, explanation: str, hints: list[str], from_exc: Any = None,
    log_warning: bool = False, skip_frame: bool = False,
) -> NoReturn:  # fmt: skip
    """Raise ``Unsupported``.

    Raises:
        Unsupported: always.
    """
    msg = break_text(gb_type, context, explanation, hints)
    if log_warning:
        import logging

        logging.getLogger("torch._dynamo").warning(msg)
    raise Unsupported(msg, gb_type, skip_frame) from (from_exc if isinstance(from_exc, BaseException) else None)


def with_place(error: Unsupported, frame: Any) -> Unsupported:
    """The error with the line of the program that it is about."""
    if frame is None:
        return error
    file, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(file, line).strip()
    place = f'\n\nfrom user code:\n   File "{file}", line {line}, in {frame.f_code.co_name}\n'
    place += f"    {text}\n" if text else ""
    return Unsupported(error.msg + place + _FOOTER, error.gb_type, error.skip_frame)
