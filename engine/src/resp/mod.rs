//! The wire protocol, RESP2: requests in ([`request`], [`inline`]), replies out ([`reply`]).

pub mod inline;
pub mod reply;
pub mod request;

pub use reply::{Output, Reply};
pub use request::{Args, Limits, OwnedArgs, ProtocolError, RequestParser};
