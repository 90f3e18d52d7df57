//! ROLE and WAIT, of a server without replicas.

use super::blocking::deadline;
use super::{Context, Refusal};
use crate::blocking::Wanted;
use crate::number::parse_i64;
use crate::resp::Args;

/// `ROLE`: a primary, its replication offset, and its replicas.
pub(crate) fn role(cx: &mut Context<'_>, _args: &Args<'_>) -> Result<(), Refusal> {
    let mut reply = cx.reply();
    reply.array(3);
    reply.bulk(b"master");
    reply.integer(0);
    reply.array(0);
    Ok(())
}

/// `WAIT replicas milliseconds`: waits until so many replicas have what was written; answers how many do.
pub(crate) fn wait(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let replicas = parse_i64(&args[1]).ok_or(Refusal::NOT_AN_INTEGER)?;
    let deadline = deadline(&args[2], 1, cx.now_ms)?;
    if replicas <= 0 || !cx.may_block() {
        cx.reply().integer(0);
        return Ok(());
    }
    cx.wait_for(Wanted::Replicas, std::iter::empty(), deadline);
    Ok(())
}
