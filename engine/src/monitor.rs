//! MONITOR: every command is shown to who asked for it, before it runs.

use crate::client::Client;
use crate::config::quote::quote_into;
use crate::event::ClientId;
use crate::resp::Args;
use crate::state::Server;

impl Server {
    /// Shows a command of `client` to all monitors.
    #[cold]
    pub(crate) fn show_to_monitors(&mut self, client: &mut Client, args: &Args<'_>) {
        if self.loading {
            return;
        }
        let unix_us = self.clock.unix_us;
        let (seconds, rest) = (unix_us.div_euclid(1_000_000), unix_us.rem_euclid(1_000_000));
        let address = match client.peer.unix_socket {
            _ if client.in_script => "lua".to_owned(),
            true => format!("unix:{}", String::from_utf8_lossy(&self.config.unixsocket)),
            false => client.peer.address.clone(),
        };
        let mut line = format!("+{seconds}.{rest:06} [{} {address}]", client.db).into_bytes();
        for argument in args.iter() {
            line.push(b' ');
            quote_into(&mut line, argument);
        }
        line.extend_from_slice(b"\r\n");
        let monitors: Vec<ClientId> = self.monitors.clone();
        let mut post = self.post(Some(client));
        for monitor in monitors {
            post.deliver(monitor, |output| output.push(&line));
        }
    }
}
