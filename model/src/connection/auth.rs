//! AUTH, and what a client may do before it.

use crate::call::Call;
use crate::clause::Clause;
use crate::client::ClientChange;
use crate::plan::{Change, Plan, Refusal};

/// [AUTH-1] [AUTH-2] [AUTH-3]
pub(crate) fn auth(call: &Call<'_>) -> Result<Plan, Refusal> {
    let password = call.model.server.config.password();
    if password.is_empty() {
        return Err(Refusal::new(Clause::AUTH_1, "ERR Client sent AUTH, but no password is set"));
    }
    if call.args[1] == password {
        let authenticated = Change::Client(ClientChange::Authenticated(true));
        return Ok(Plan::ok(Clause::AUTH_2).with(authenticated));
    }
    let refusal: Plan = Refusal::new(Clause::AUTH_3, "ERR invalid password").into();
    Ok(refusal.with(Change::Client(ClientChange::Authenticated(false))))
}

/// [AUTH-4] [AUTH-5]
pub(crate) fn refuse_unauthenticated(call: &Call<'_>, name: &str) -> Result<(), Refusal> {
    let admitted = !call.model.server.config.effects().has_password || call.client.authenticated || name == "auth";
    if admitted { Ok(()) } else { Err(Refusal::new(Clause::AUTH_4, "NOAUTH Authentication required.")) }
}
