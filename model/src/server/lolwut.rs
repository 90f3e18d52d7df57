//! LOLWUT.

use std::sync::Arc;

use super::container::integer;
use crate::allowed::{Allowed, Judge};
use crate::call::Call;
use crate::clause::Clause;
use crate::plan::{Plan, Refusal};
use crate::reply::Reply;

/// [LOLWUT-1] [LOLWUT-2] [LOLWUT-3]
pub(crate) fn lolwut(call: &Call<'_>) -> Result<Plan, Refusal> {
    let numbers = call.args.iter().skip(1).take(3);
    if numbers.clone().any(|number| integer(number).is_none()) {
        return Err(Refusal::new(Clause::LOLWUT_3, "ERR value is not an integer or out of range"));
    }
    if call.args.len() > 1 {
        call.cite(Clause::LOLWUT_2);
    }
    Ok(Plan::new(Clause::LOLWUT_1, Allowed::Judged(Arc::new(Art))))
}

#[derive(Debug)]
struct Art;

impl Judge for Art {
    fn describe(&self) -> String {
        "a drawing whose last line names a version".into()
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Bulk(text) = reply else { return Err("not a bulk string".into()) };
        let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
        let last = text.strip_suffix('\n').ok_or("no line end")?.lines().last().unwrap_or_default();
        if last.bytes().any(|byte| byte.is_ascii_digit()) { Ok(()) } else { Err("no version".into()) }
    }
}
