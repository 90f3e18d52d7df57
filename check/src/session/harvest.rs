//! What answers tell the generator: serializations and cursors worth sending again.

use tally_model::Reply;

use crate::request::Request;

/// What the generator is told about answers: serializations and cursors worth sending again.
#[derive(Clone, Debug, Default)]
pub struct Harvest {
    /// What DUMP answered, the latest few.
    pub payloads: Vec<Vec<u8>>,
    /// What CLIENT ID answered, the latest few.
    pub client_ids: Vec<i64>,
    /// What SCAN and its like answered: the command's name in lower case, the key (empty for SCAN), the cursor; the latest
    /// few.
    cursors: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)>,
}

impl Harvest {
    const MOST: usize = 8;

    /// The cursor that this command of the SCAN family last answered for this key.
    pub fn cursor(&self, command: &[u8], key: &[u8]) -> Option<&[u8]> {
        let same = |entry: &&(Vec<u8>, Vec<u8>, Vec<u8>)| entry.0.eq_ignore_ascii_case(command) && entry.1 == key;
        self.cursors.iter().find(same).map(|(_, _, cursor)| cursor.as_slice())
    }

    pub(super) fn collect(&mut self, request: &Request, reply: &Reply) {
        match reply {
            Reply::Bulk(payload) if request.is(0, "dump") => {
                if self.payloads.len() == Self::MOST {
                    self.payloads.remove(0);
                }
                self.payloads.push(payload.clone());
            }
            Reply::Array(parts) if matches!(request.name().len(), 4 | 5) => {
                let key = match request.name().to_ascii_lowercase().as_slice() {
                    b"scan" => b"".as_slice(),
                    b"sscan" | b"hscan" | b"zscan" => request.argument(1),
                    _ => return,
                };
                if let Some(Reply::Bulk(cursor)) = parts.first() {
                    self.note_cursor(request.name(), key, cursor);
                }
            }
            _ => {}
        }
    }

    pub(super) fn note_client_id(&mut self, id: i64) {
        if !self.client_ids.contains(&id) {
            if self.client_ids.len() == Self::MOST {
                self.client_ids.remove(0);
            }
            self.client_ids.push(id);
        }
    }

    fn note_cursor(&mut self, command: &[u8], key: &[u8], cursor: &[u8]) {
        self.cursors.retain(|entry| !(entry.0.eq_ignore_ascii_case(command) && entry.1 == key));
        if cursor == b"0" {
            return;
        }
        if self.cursors.len() == Self::MOST {
            self.cursors.remove(0);
        }
        self.cursors.push((command.to_vec(), key.to_vec(), cursor.to_vec()));
    }
}
