"""All errors of sparkd, in one tree.

    SparkdError
    ├── CatalogueError          the catalogue has errors (it lists all of them)
    ├── ModelNotAdded           a model's entry cannot be guessed, or its engine does not fit this machine
    │   ├── SourceNotFound      404  no such repository, revision or folder, or no access to it
    │   └── SourceUnreachable   503  the hub does not respond
    ├── UsageUnreadable         503  the recorded requests and the history cannot be read now
    ├── RuntimeNotFound         no runtime has that name
    ├── RuntimeBuildError       a virtualenv could not be built or verified
    ├── LaunchError             a process could not be started
    ├── ListenError             a socket could not be opened
    ├── AlreadyRunning          another daemon uses the run folder
    ├── HandoverError           the state that a sparkd handed to its successor cannot be read
    ├── ReplacementRefused      the installed program cannot replace this sparkd
    ├── ProbeError              the machine does not report its memory
    ├── InspectionFailed        `sparkctl doctor` did not finish
    ├── DaemonUnreachable       nothing responds at the control socket
    │   └── ControlForbidden    the control socket belongs to another user
    ├── ClientFileError         `sparkctl client` cannot read, merge or write the file of a client program
    ├── DemoError               `sparkctl demo` needs something that it cannot create itself
    │   ├── DemoModelFailed     one of its models could not be downloaded, converted or verified
    │   └── NoAnswer            its request got no response
    ├── EditFailed              507  a drop-in could not be written
    ├── DaemonError             an error response from the daemon, with its status, type and code
    ├── RequestError            the request is at fault: it will fail again if unchanged (4xx)
    │   ├── InvalidRequest      400
    │   ├── ContextExceeded     400  the prompt cannot fit into the model's context
    │   ├── ImagesNotSupported  400
    │   ├── MediaNotSupported   400
    │   ├── RequestCrashesEngine 400  the request made its engine fail repeatedly
    │   ├── TaskNotSupported    400  the model is of another kind
    │   ├── ToolsNotSupported   400
    │   ├── Unauthorized        401
    │   ├── ModelDisabled       403
    │   ├── AccessDenied        403  a host name, a web page or an address that may not use this
    │   ├── ModelNotAllowed     403  the API key may not use the model
    │   ├── OperatorRequired    403  the API key may not load, unload or hold models
    │   ├── ViewerRequired      403  the API key may not see what the machine does
    │   ├── PathForbidden       403
    │   ├── CatalogueNotWritable 403  this user may not write drop-ins
    │   ├── ModelNotFound       404
    │   ├── LogNotFound         404
    │   ├── CaptureNotFound     404
    │   ├── HoldNotFound        404
    │   ├── PathNotFound        404
    │   ├── RequestNotFound     404  no request in flight has that id
    │   ├── CatalogueFileNotFound 404
    │   ├── EditNotFound        404  no such edit to undo
    │   ├── MethodNotAllowed    405
    │   ├── RequestTimeout      408
    │   ├── HoldConflict        409  a hold is in the way of another hold, or of the end of its model
    │   ├── EditConflict        409  a drop-in has changed since the text that was edited
    │   ├── FilesInUse          409  the files of a running model cannot be removed
    │   ├── ModelPinned         409  a pinned model is not unloaded by a request
    │   ├── RequestCancelled    410  the owner cancelled the request
    │   ├── BodyTooLarge        413
    │   ├── EncodingNotSupported    415  its content encoding
    │   ├── MediaTypeNotSupported   415  its content type
    │   ├── HeadersTooLarge     431
    │   └── NotSupported        501
    ├── Refusal                 sparkd or an engine cannot serve it now: a retry may succeed
    │   ├── ModelBusy           429  another model uses the machine and `on_busy = "reject"`
    │   ├── QueueFull           429  the queue is full
    │   ├── KeyLimitReached     429  the API key has too many requests
    │   ├── WaitTimeout         503  the model was not ready within `max_wait`
    │   ├── BackgroundPutOff    503  a background request would have had to evict a model
    │   ├── ModelHeld           503  the model does not fit beside one that somebody holds
    │   ├── ModelStopped        503  an operator stopped the model while the request waited
    │   ├── ModelFailed         503  the model's process failed and is in backoff or quarantine
    │   ├── ModelNotLoaded      503  a request that does not load it needs it
    │   ├── InsufficientMemory              503  pinned models or other programs leave too little memory
    │   ├── FilesMissing        503  the model is not on disk, and `download` is "reject"
    │   ├── ModelDownloading    503  the model is being downloaded; `retry_after` estimates the rest
    │   ├── DownloadFailed      503  the download failed; `reason` is the cause
    │   └── ShuttingDown        503
    ├── EngineRejected          an error response of an engine, with its status
    └── UpstreamError           502  the engine closed the connection, or did not send HTTP

Each class has its HTTP status and its OpenAI-style `type` and `code`. `retry_after` is the number of seconds after
which a client should retry; None if unknown.
"""

from sparkd.errors.active import RequestCancelled, RequestNotFound
from sparkd.errors.base import SparkdError
from sparkd.errors.edits import (
    CatalogueFileNotFound,
    CatalogueNotWritable,
    EditConflict,
    EditFailed,
    EditNotFound,
)
from sparkd.errors.files import (
    DownloadFailed,
    DownloadFailureReason,
    FilesInUse,
    FilesMissing,
    ModelDownloading,
)
from sparkd.errors.holds import HoldConflict, HoldNotFound, ModelHeld
from sparkd.errors.operations import (
    AlreadyRunning,
    CatalogueError,
    ClientFileError,
    ControlForbidden,
    DaemonError,
    DaemonUnreachable,
    DemoError,
    DemoModelFailed,
    HandoverError,
    InspectionFailed,
    LaunchError,
    ListenError,
    ModelNotAdded,
    NoAnswer,
    ProbeError,
    ReplacementRefused,
    RuntimeBuildError,
    RuntimeNotFound,
    SourceNotFound,
    SourceUnreachable,
    UsageUnreadable,
)
from sparkd.errors.requests import (
    AccessDenied,
    BackgroundPutOff,
    BodyTooLarge,
    CaptureNotFound,
    ContextExceeded,
    EncodingNotSupported,
    EngineRejected,
    HeadersTooLarge,
    Holder,
    ImagesNotSupported,
    InsufficientMemory,
    InvalidRequest,
    KeyLimitReached,
    LogNotFound,
    MediaNotSupported,
    MediaTypeNotSupported,
    MethodNotAllowed,
    ModelBusy,
    ModelDisabled,
    ModelFailed,
    ModelNotAllowed,
    ModelNotFound,
    ModelNotLoaded,
    ModelPinned,
    ModelStopped,
    NotSupported,
    OperatorRequired,
    PathForbidden,
    PathNotFound,
    QueueFull,
    Refusal,
    RequestCrashesEngine,
    RequestError,
    RequestTimeout,
    ShuttingDown,
    TaskNotSupported,
    ToolsNotSupported,
    Unauthorized,
    UpstreamError,
    ViewerRequired,
    WaitTimeout,
)

__all__ = [
    "AccessDenied",
    "AlreadyRunning",
    "BackgroundPutOff",
    "BodyTooLarge",
    "CaptureNotFound",
    "CatalogueError",
    "CatalogueFileNotFound",
    "CatalogueNotWritable",
    "ClientFileError",
    "ContextExceeded",
    "ControlForbidden",
    "DaemonError",
    "DaemonUnreachable",
    "DemoError",
    "DemoModelFailed",
    "DownloadFailed",
    "DownloadFailureReason",
    "EditConflict",
    "EditFailed",
    "EditNotFound",
    "EncodingNotSupported",
    "EngineRejected",
    "FilesInUse",
    "FilesMissing",
    "HandoverError",
    "HeadersTooLarge",
    "HoldConflict",
    "HoldNotFound",
    "Holder",
    "ImagesNotSupported",
    "InspectionFailed",
    "InsufficientMemory",
    "InvalidRequest",
    "KeyLimitReached",
    "LaunchError",
    "ListenError",
    "LogNotFound",
    "MediaNotSupported",
    "MediaTypeNotSupported",
    "MethodNotAllowed",
    "ModelBusy",
    "ModelDisabled",
    "ModelDownloading",
    "ModelFailed",
    "ModelHeld",
    "ModelNotAdded",
    "ModelNotAllowed",
    "ModelNotFound",
    "ModelNotLoaded",
    "ModelPinned",
    "ModelStopped",
    "NoAnswer",
    "NotSupported",
    "OperatorRequired",
    "PathForbidden",
    "PathNotFound",
    "ProbeError",
    "QueueFull",
    "Refusal",
    "ReplacementRefused",
    "RequestCancelled",
    "RequestCrashesEngine",
    "RequestError",
    "RequestNotFound",
    "RequestTimeout",
    "RuntimeBuildError",
    "RuntimeNotFound",
    "ShuttingDown",
    "SourceNotFound",
    "SourceUnreachable",
    "SparkdError",
    "TaskNotSupported",
    "ToolsNotSupported",
    "Unauthorized",
    "UpstreamError",
    "UsageUnreadable",
    "ViewerRequired",
    "WaitTimeout",
]
