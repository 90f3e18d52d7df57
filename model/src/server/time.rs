//! TIME.

use std::sync::Arc;

use super::container::integer;
use crate::allowed::{Allowed, Judge};
use crate::call::Call;
use crate::clause::Clause;
use crate::plan::{Plan, Refusal};
use crate::reply::Reply;
use crate::span::Span;

/// [TIME-1] [TIME-2]
pub(crate) fn time(call: &Call<'_>) -> Result<Plan, Refusal> {
    call.cite(Clause::TIME_2);
    Ok(Plan::new(Clause::TIME_1, Allowed::Judged(Arc::new(Clock(call.span)))))
}

#[derive(Debug)]
struct Clock(Span);

impl Judge for Clock {
    fn describe(&self) -> String {
        format!("seconds and microseconds between {} and {} ms", self.0.earliest_ms, self.0.latest_ms)
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Array(parts) = reply else { return Err("not an array".into()) };
        let [Reply::Bulk(seconds), Reply::Bulk(microseconds)] = parts.as_slice() else {
            return Err("not two bulk strings".into());
        };
        let (Some(seconds), Some(microseconds @ 0..1_000_000)) = (integer(seconds), integer(microseconds)) else {
            return Err("not seconds and microseconds".into());
        };
        let ms = seconds.saturating_mul(1000).saturating_add(microseconds / 1000);
        // The server's clock may be read just before the millisecond in which the request was written ended.
        if ms + 1 < self.0.earliest_ms || ms > self.0.latest_ms + 1 {
            return Err(format!("{ms} ms"));
        }
        Ok(())
    }
}
