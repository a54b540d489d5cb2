//! Every answer this receiver gives: DESIGN.md section 7, row by row.
//!
//! Bodies are constant but for an outcome and a number of ours; they never echo what was sent. No answer is a
//! redirection, a 204 or a 410: senders act on those in ways nobody wants.

use axum::body::Body;
use axum::http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};

use crate::domain::delivery::Outcome;
use crate::receiver::framing::Fault;

/// Seconds after which a sender may try again when the writer cannot take more.
const BUSY_RETRY_S: &str = "5";
/// Seconds after which an address that failed too often may try again.
const FLOOD_RETRY_S: &str = "60";

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Committed.
    Kept(Outcome, i64),
    /// The link works.
    Ready,
    /// The process runs.
    Alive,
    /// Conflicting framing, no Host, a bare line feed, a body that cannot be read.
    Malformed,
    /// No credential was right, or one was wrong.
    Unauthorized,
    /// Nothing is here.
    NotFound,
    /// This place takes other methods.
    WrongMethod {
        /// Which, as the header lists them.
        allow: &'static str,
    },
    /// Head or body did not arrive in time.
    TooSlow,
    /// The body is over the limit.
    TooLarge,
    /// A compressed body.
    Encoded,
    /// This address failed too often.
    Flood,
    /// The head is too large.
    HeadTooLarge,
    /// A panic: our bug.
    Panic,
    /// Queue full, writer stalled or failing, disk full, shutting down.
    Busy,
}

impl Reply {
    /// One word per kind of answer, for logs and metrics.
    pub(crate) const WORDS: [&'static str; 16] = [
        "stored",
        "duplicate",
        "quarantined",
        "ready",
        "alive",
        "malformed",
        "unauthorized",
        "not_found",
        "wrong_method",
        "too_slow",
        "too_large",
        "encoded",
        "flood",
        "head_too_large",
        "panic",
        "busy",
    ];

    /// The place of this answer's word in `WORDS`.
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Kept(Outcome::Stored, _) => 0,
            Self::Kept(Outcome::Duplicate, _) => 1,
            Self::Kept(Outcome::Quarantined, _) => 2,
            Self::Ready => 3,
            Self::Alive => 4,
            Self::Malformed => 5,
            Self::Unauthorized => 6,
            Self::NotFound => 7,
            Self::WrongMethod { .. } => 8,
            Self::TooSlow => 9,
            Self::TooLarge => 10,
            Self::Encoded => 11,
            Self::Flood => 12,
            Self::HeadTooLarge => 13,
            Self::Panic => 14,
            Self::Busy => 15,
        }
    }

    /// The word itself.
    pub(crate) const fn word(self) -> &'static str {
        Self::WORDS[self.index()]
    }

    /// The status code.
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Kept(..) | Self::Ready | Self::Alive => StatusCode::OK,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Encoded => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Flood => StatusCode::TOO_MANY_REQUESTS,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Panic => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn body(self) -> Body {
        Body::from(match self {
            Self::Kept(outcome, seq) => {
                return Body::from(format!("{{\"status\":\"{outcome}\",\"seq\":{seq}}}"));
            }
            Self::Ready => r#"{"status":"ready"}"#,
            Self::Alive => r#"{"status":"alive"}"#,
            Self::Malformed => r#"{"error":"malformed_request"}"#,
            Self::Unauthorized => r#"{"error":"unauthorized"}"#,
            Self::NotFound => r#"{"error":"not_found"}"#,
            Self::WrongMethod { .. } => r#"{"error":"method_not_allowed"}"#,
            Self::TooSlow => r#"{"error":"too_slow"}"#,
            Self::TooLarge => r#"{"error":"body_too_large"}"#,
            Self::Encoded => r#"{"error":"content_encoding_not_supported"}"#,
            Self::Flood => r#"{"error":"too_many_failures"}"#,
            Self::HeadTooLarge => r#"{"error":"headers_too_large"}"#,
            Self::Panic => r#"{"error":"internal"}"#,
            Self::Busy => r#"{"error":"unavailable"}"#,
        })
    }

    /// Whether the connection cannot go on after this answer, whatever was read of the request.
    const fn ends_connection(self) -> bool {
        matches!(
            self,
            Self::Malformed | Self::TooSlow | Self::TooLarge | Self::HeadTooLarge | Self::Panic
        )
    }

    /// The HTTP form. `is_last`: nothing more is read from this connection.
    pub(crate) fn response(self, is_last: bool) -> Response<Body> {
        let mut response = Response::new(self.body());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self {
            Self::WrongMethod { allow } => {
                headers.insert(ALLOW, HeaderValue::from_static(allow));
            }
            Self::Busy => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static(BUSY_RETRY_S));
            }
            Self::Flood => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static(FLOOD_RETRY_S));
            }
            _ => {}
        }
        if is_last || self.ends_connection() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<Fault> for Reply {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Malformed => Self::Malformed,
            Fault::TooLarge => Self::HeadTooLarge,
            Fault::TooSlow => Self::TooSlow,
        }
    }
}
