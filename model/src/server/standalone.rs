//! Cluster commands on a server that is in no cluster, and what a server without replicas says of its role.

use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::plan::{Plan, Refusal};
use crate::reply::Reply;

const DISABLED: &str = "ERR This instance has cluster support disabled";

/// [CLUSTER-1]
pub(crate) fn cluster(_: &Call<'_>) -> Result<Plan, Refusal> {
    Err(Refusal::new(Clause::CLUSTER_1, DISABLED))
}

/// [READONLY-1]
pub(crate) fn readonly(_: &Call<'_>) -> Result<Plan, Refusal> {
    Err(Refusal::new(Clause::READONLY_1, DISABLED))
}

/// [READWRITE-1]
pub(crate) fn readwrite(_: &Call<'_>) -> Result<Plan, Refusal> {
    Ok(Plan::ok(Clause::READWRITE_1))
}

/// [ASKING-1]
pub(crate) fn asking(_: &Call<'_>) -> Result<Plan, Refusal> {
    Err(Refusal::new(Clause::ASKING_1, DISABLED))
}

/// [ROLE-1]
pub(crate) fn role(_: &Call<'_>) -> Result<Plan, Refusal> {
    let offset = Allowed::Within(0..=i64::MAX);
    let parts = [Allowed::Exactly(Reply::bulk("master")), offset, Allowed::Exactly(Reply::Array(Vec::new()))];
    Ok(Plan::new(Clause::ROLE_1, Allowed::Elements(parts.into())))
}
