"""Everything that can go wrong, in one tree.

    SparkdError
    ├── CatalogueError          the files that say what may run are wrong (all problems together)
    ├── ModelNotAdded           nothing can be guessed about a model, or it fits nowhere
    │   ├── SourceNotFound      404  there is no such repository, revision or folder, or it is not shown to us
    │   └── SourceUnreachable   503  the hub does not answer
    ├── RuntimeNotFound         there is no definition of that name
    ├── RuntimeBuildError       a virtualenv could not be built or verified
    ├── LaunchError             a process could not be started at all
    ├── ListenError             a door could not be opened
    ├── AlreadyRunning          another daemon owns the run folder
    ├── HandoverError           what a sparkd passed on to its successor cannot be read
    ├── ReplacementRefused      sparkd cannot be replaced by what is installed now
    ├── ProbeError              the machine does not say how much memory it has
    ├── DaemonUnreachable       sparkctl found nobody at the control socket
    │   └── ControlForbidden    the control socket is somebody else's
    ├── CannotDemonstrate       `sparkctl demo` lacks something it cannot make itself
    │   ├── ModelNotPrepared    one of its models could not be fetched, converted or checked
    │   └── NoAnswer            its question was not answered
    ├── DaemonError             what the daemon told sparkctl; carries the status, type and code it told
    ├── RequestError            the caller's doing: asking again unchanged will fail again (4xx)
    │   ├── InvalidRequest      400
    │   ├── ContextExceeded     400  the prompt cannot fit into the model's context
    │   ├── ImagesNotTaken      400
    │   ├── Unauthorized        401
    │   ├── ModelDisabled       403
    │   ├── PathForbidden       403
    │   ├── ModelNotFound       404
    │   ├── LogNotFound         404
    │   ├── PathNotFound        404
    │   ├── MethodNotAllowed    405
    │   ├── RequestTimeout      408
    │   ├── FilesInUse          409  the files of a model that runs are not removed
    │   ├── BodyTooLarge        413
    │   ├── HeadTooLarge        431
    │   └── NotSupported        501
    ├── Refusal                 sparkd's or an engine's state: asking again later may succeed
    │   ├── ModelBusy           429  another model holds the machine and `on_busy = "reject"`
    │   ├── QueueFull           429  too many requests wait already
    │   ├── WaitedTooLong       503  `max_wait` passed before the model was ready
    │   ├── ModelStopped        503  the operator stopped the model while the request waited
    │   ├── ModelFailed         503  the model's process failed and is in backoff or quarantine
    │   ├── NoRoom              503  pinned models or other programs leave no room for this one
    │   ├── FilesMissing        503  the model is not on disk, and nobody fetches it without being told to
    │   ├── BeingFetched        503  the model is being fetched; `retry_after` is when that will be done
    │   ├── FetchFailed         503  it could not be fetched; `reason` is what went wrong
    │   └── ShuttingDown        503
    └── UpstreamError           502  the engine broke off, or answered something that is not HTTP

Each class knows its HTTP status and its OpenAI-style `type` and `code`; `retry_after` (seconds) is what a
client may wait before it asks again, None where nobody can say.
"""

from sparkd.errors.answering import (
    BodyTooLarge,
    ContextExceeded,
    HeadTooLarge,
    Holder,
    ImagesNotTaken,
    InvalidRequest,
    LogNotFound,
    MethodNotAllowed,
    ModelBusy,
    ModelDisabled,
    ModelFailed,
    ModelNotFound,
    ModelStopped,
    NoRoom,
    NotSupported,
    PathForbidden,
    PathNotFound,
    QueueFull,
    Refusal,
    RequestError,
    RequestTimeout,
    ShuttingDown,
    Unauthorized,
    UpstreamError,
    WaitedTooLong,
)
from sparkd.errors.on_disk import BeingFetched, FetchFailed, FetchReason, FilesInUse, FilesMissing
from sparkd.errors.operating import (
    AlreadyRunning,
    CannotDemonstrate,
    CatalogueError,
    ControlForbidden,
    DaemonError,
    DaemonUnreachable,
    HandoverError,
    LaunchError,
    ListenError,
    ModelNotAdded,
    ModelNotPrepared,
    NoAnswer,
    ProbeError,
    ReplacementRefused,
    RuntimeBuildError,
    RuntimeNotFound,
    SourceNotFound,
    SourceUnreachable,
)
from sparkd.errors.root import SparkdError

__all__ = [
    "AlreadyRunning",
    "BeingFetched",
    "BodyTooLarge",
    "CannotDemonstrate",
    "CatalogueError",
    "ContextExceeded",
    "ControlForbidden",
    "DaemonError",
    "DaemonUnreachable",
    "FetchFailed",
    "FetchReason",
    "FilesInUse",
    "FilesMissing",
    "HandoverError",
    "HeadTooLarge",
    "Holder",
    "ImagesNotTaken",
    "InvalidRequest",
    "LaunchError",
    "ListenError",
    "LogNotFound",
    "MethodNotAllowed",
    "ModelBusy",
    "ModelDisabled",
    "ModelFailed",
    "ModelNotAdded",
    "ModelNotFound",
    "ModelNotPrepared",
    "ModelStopped",
    "NoAnswer",
    "NoRoom",
    "NotSupported",
    "PathForbidden",
    "PathNotFound",
    "ProbeError",
    "QueueFull",
    "Refusal",
    "ReplacementRefused",
    "RequestError",
    "RequestTimeout",
    "RuntimeBuildError",
    "RuntimeNotFound",
    "ShuttingDown",
    "SourceNotFound",
    "SourceUnreachable",
    "SparkdError",
    "Unauthorized",
    "UpstreamError",
    "WaitedTooLong",
]
