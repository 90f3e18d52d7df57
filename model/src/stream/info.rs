//! XINFO.

use std::collections::BTreeSet;

use super::{StreamId, StreamValue, ago, entry_reply, naming, syntax_error};
use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::plan::{Plan, Refusal};
use crate::reply::Reply;
use crate::server::{help, unknown_subcommand};
use crate::strings::length;

/// XINFO and its subcommands.
pub(crate) fn xinfo(call: &Call<'_>) -> Result<Plan, Refusal> {
    let subcommand = call.args[1].to_ascii_lowercase();
    if subcommand == b"help" {
        return Ok(Plan::new(Clause::XINFO_9, help("XINFO")));
    }
    let Some(&key) = call.args.get(2) else {
        return Err(Refusal { line: b"ERR syntax error, try 'XINFO HELP'".into(), ..syntax_error(Clause::XINFO_6) });
    };
    call.cite(Clause::XINFO_7);
    let stream = call.find_stream(key)?.ok_or_else(|| Refusal::new(Clause::XINFO_7, "ERR no such key"))?;
    match (subcommand.as_slice(), &call.args[3..]) {
        (b"stream", []) => {
            call.cite(Clause::XINFO_2);
            Ok(Plan::reply(Clause::XINFO_1, stream_info(stream)))
        }
        (b"groups", []) => Ok(Plan::reply(Clause::XINFO_3, groups(stream))),
        (b"consumers", &[name]) => consumers(call, stream, key, name),
        _ => Err(unknown_subcommand(Clause::XINFO_8, call.args[1], "XINFO HELP.")),
    }
}

fn number(number: usize) -> Reply {
    Reply::Integer(length(number))
}

/// [XINFO-1]
fn stream_info(stream: &StreamValue) -> Reply {
    let entry =
        |entry: Option<(StreamId, &super::Pairs)>| entry.map_or(Reply::NilBulk, |(id, pairs)| entry_reply(id, pairs));
    let nodes: Vec<[u8; 16]> = stream.nodes.keys().map(|id| id.to_bytes()).collect();
    Reply::Array(vec![
        Reply::bulk("length"),
        number(stream.len()),
        Reply::bulk("radix-tree-keys"),
        number(stream.nodes.len()),
        Reply::bulk("radix-tree-nodes"),
        number(radix_tree_nodes(&nodes)),
        Reply::bulk("groups"),
        number(stream.groups.len()),
        Reply::bulk("last-generated-id"),
        Reply::Bulk(stream.last_id.to_text()),
        Reply::bulk("first-entry"),
        entry(stream.entries().next()),
        Reply::bulk("last-entry"),
        entry(stream.entries().next_back()),
    ])
}

/// [XINFO-3]
fn groups(stream: &StreamValue) -> Reply {
    let group = |(name, group): (&Vec<u8>, &super::Group)| {
        Reply::Array(vec![
            Reply::bulk("name"),
            Reply::bulk(name.as_slice()),
            Reply::bulk("consumers"),
            number(group.consumers.len()),
            Reply::bulk("pending"),
            number(group.pending.len()),
            Reply::bulk("last-delivered-id"),
            Reply::Bulk(group.last_id.to_text()),
        ])
    };
    Reply::Array(stream.groups.iter().map(group).collect())
}

/// [XINFO-4] [XINFO-5]
fn consumers(call: &Call<'_>, stream: &StreamValue, key: &[u8], name: &[u8]) -> Result<Plan, Refusal> {
    let group = stream.groups.get(name).ok_or_else(|| {
        naming(Clause::XINFO_5, &[b"NOGROUP No such consumer group '", name, b"' for key name '", key, b"'"])
    })?;
    for clause in [Clause::GROUP_2, Clause::GROUP_5] {
        call.cite(clause);
    }
    let exactly = |text: &[u8]| Allowed::Exactly(Reply::bulk(text));
    let consumers = group.consumers.iter().map(|(name, consumer)| {
        Allowed::Elements(vec![
            exactly(b"name"),
            exactly(name),
            exactly(b"pending"),
            Allowed::Exactly(number(group.pending_of(name).count())),
            exactly(b"idle"),
            Allowed::Within(ago(consumer.seen, call.span)),
        ])
    });
    Ok(Plan::new(Clause::XINFO_4, Allowed::Elements(consumers.collect())))
}

/// The nodes of a compressed radix tree over keys of one length, in ascending order. [XINFO-2]
fn radix_tree_nodes(keys: &[[u8; 16]]) -> usize {
    if keys.is_empty() { 1 } else { nodes_below(keys, 0) }
}

/// The nodes of the part of the tree in which all keys agree in so many bytes.
fn nodes_below(keys: &[[u8; 16]], agreed: usize) -> usize {
    let agree_at = |at: usize| keys.iter().all(|key| key[at] == keys[0][at]);
    let parted = (agreed..16).find(|&at| !agree_at(at)).unwrap_or(16);
    let run = usize::from(parted > agreed);
    if parted == 16 {
        return run + 1;
    }
    let bytes: BTreeSet<u8> = keys.iter().map(|key| key[parted]).collect();
    let below = bytes.into_iter().map(|byte| {
        let branch: Vec<[u8; 16]> = keys.iter().filter(|key| key[parted] == byte).copied().collect();
        nodes_below(&branch, parted + 1)
    });
    run + 1 + below.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::{StreamId, radix_tree_nodes};

    fn nodes(ids: &[(u64, u64)]) -> usize {
        let keys: Vec<[u8; 16]> = ids.iter().map(|&(ms, seq)| StreamId { ms, seq }.to_bytes()).collect();
        radix_tree_nodes(&keys)
    }

    #[test]
    fn a_radix_tree_has_a_node_for_each_key_each_parting_and_each_run() {
        assert_eq!(nodes(&[]), 1);
        assert_eq!(nodes(&[(1, 1)]), 2);
        assert_eq!(nodes(&[(1, 1), (1, 101)]), 4);
        assert_eq!(nodes(&[(1, 1), (1, 101), (1, 201)]), 5);
        // The keys part in the first number already, so that each goes on by itself.
        assert_eq!(nodes(&[(1, 1), (2, 1)]), 6);
        let thousand: Vec<(u64, u64)> = (1..=1000).map(|seq| (1, seq)).collect();
        assert_eq!(nodes(&thousand), 1006);
    }
}
