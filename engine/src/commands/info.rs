//! INFO.

use super::{Context, Refusal};
use crate::info;
use crate::resp::Args;

/// `INFO [section]`.
pub(crate) fn info(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let section: &[u8] = match args.len() {
        1 => b"default",
        2 => &args[1],
        _ => return Err(Refusal::SYNTAX),
    };
    let text = info::report(cx.server, cx.client, cx.world, section);
    cx.reply().bulk(text.as_bytes());
    Ok(())
}
