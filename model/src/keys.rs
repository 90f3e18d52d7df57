//! Commands on keys of any type.

use crate::call::Call;
use crate::clause::Clause;
use crate::plan::{Change, Plan, Refusal};

pub(crate) fn select(call: &Call<'_>) -> Result<Plan, Refusal> {
    let index = std::str::from_utf8(call.args[1]).ok().and_then(|text| text.parse::<i64>().ok());
    let Some(index) = index else {
        return Err(Refusal::new(Clause::SELECT_2, "ERR invalid DB index"));
    };
    match usize::try_from(index) {
        Ok(index) if index < call.model.server.databases => Ok(Plan::ok(Clause::SELECT_1).with(Change::Select(index))),
        _ => Err(Refusal::new(Clause::SELECT_3, "ERR DB index is out of range")),
    }
}
