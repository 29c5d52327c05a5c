//! Snapshots of etcd, recovering from them, alarms, and changes of its version.

use prost::Message;
use talos_proto::common::Data;
use talos_proto::machine::{
    EtcdAlarm, EtcdAlarmDisarm, EtcdAlarmDisarmResponse, EtcdAlarmListResponse, EtcdClusterDowngrade, EtcdDefragment,
    EtcdDefragmentResponse, EtcdDowngradeCancel, EtcdDowngradeCancelResponse, EtcdDowngradeEnable,
    EtcdDowngradeEnableRequest, EtcdDowngradeEnableResponse, EtcdDowngradeValidate, EtcdDowngradeValidateRequest,
    EtcdDowngradeValidateResponse, EtcdMemberAlarm, EtcdRecover, EtcdRecoverResponse, EtcdSnapshotRequest,
};
use tonic::Status;

use super::{Call, Reply, etcd, files};
use crate::bolt;

/// The database of the local member, which holds the objects of Kubernetes.
pub(super) fn snapshot(call: &Call<'_>, _: &EtcdSnapshotRequest) -> Result<Vec<Data>, Status> {
    let place = etcd::serving(call, "etcd snapshot")?;
    let bytes = call.ask(|world, _| {
        let store = &world.etcds[place].store;
        bolt::snapshot(store.revision(), store.dump().to_string().as_bytes())
    });
    Ok(files::chunks(&bytes))
}

/// Takes a snapshot in; the bootstrap that recovers from it comes later.
pub(super) fn recover(call: &Call<'_>) -> Result<Reply, Status> {
    if call.see(|node| node.config.is_none()) {
        return Err(Status::failed_precondition("etcd service is not ready for recovery yet"));
    }
    etcd::control_plane(call, "etcd recover")?;
    let mut bytes = Vec::new();
    for message in call.messages {
        let data = Data::decode(message.clone()).map_err(|_| Status::internal("grpc: error unmarshalling request"))?;
        bytes.extend_from_slice(&data.bytes);
    }
    call.act(|world, id| world.disk_mut(id).snapshot = Some(bytes));
    let response = EtcdRecoverResponse { messages: vec![EtcdRecover::default()] };
    Ok(Reply::One(response.encode_to_vec()))
}

pub(super) fn defragment(call: &Call<'_>, (): &()) -> Result<EtcdDefragmentResponse, Status> {
    etcd::serving(call, "etcd defragment")?;
    Ok(EtcdDefragmentResponse { messages: vec![EtcdDefragment::default()] })
}

fn alarms_of(call: &Call<'_>, place: usize) -> Vec<EtcdMemberAlarm> {
    let alarms = call.ask(|world, _| world.etcds[place].alarms.clone());
    alarms.into_iter().map(|(member_id, alarm)| EtcdMemberAlarm { member_id, alarm }).collect()
}

pub(super) fn alarms(call: &Call<'_>, (): &()) -> Result<EtcdAlarmListResponse, Status> {
    let place = etcd::serving(call, "etcd alarm list")?;
    let member_alarms = alarms_of(call, place);
    Ok(EtcdAlarmListResponse { messages: vec![EtcdAlarm { metadata: None, member_alarms }] })
}

/// Disarms every alarm, and returns which there were.
pub(super) fn disarm(call: &Call<'_>, (): &()) -> Result<EtcdAlarmDisarmResponse, Status> {
    let place = etcd::serving(call, "etcd alarm disarm")?;
    let member_alarms = alarms_of(call, place);
    call.act(|world, _| world.etcds[place].alarms.clear());
    Ok(EtcdAlarmDisarmResponse { messages: vec![EtcdAlarmDisarm { metadata: None, member_alarms }] })
}

/// The version that etcd is to go down to: `MAJOR.MINOR`, 3.5 or later.
fn wanted(version: &str) -> Result<&str, Status> {
    let refused = |text: &str| Err(Status::invalid_argument(text));
    if version.is_empty() {
        return refused("version is required for etcd downgrade");
    }
    let parts: Vec<&str> = version.split('.').collect();
    let [major, minor] = parts[..] else { return refused("version should be in MAJOR.MINOR format") };
    let Ok(major) = major.parse::<i64>() else { return refused("major version should be a number") };
    let Ok(minor) = minor.parse::<i64>() else { return refused("minor version should be a number") };
    match (major, minor) >= (3, 5) {
        true => Ok(version),
        false => refused("etcd downgrade is only supported to 3.5 and later versions"),
    }
}

/// The version of etcd that the members of a cluster have in common.
fn common(call: &Call<'_>) -> EtcdClusterDowngrade {
    EtcdClusterDowngrade { cluster_version: call.see(|node| node.version().etcd_minor(0)) }
}

/// etcd's own rule: a downgrade goes down by one minor release, and not twice at a time.
fn downgrade(call: &Call<'_>, place: usize, version: &str) -> Result<EtcdClusterDowngrade, Status> {
    let refused = |text: &str| Err(Status::unknown(format!("failed to query etcd status: etcdserver: {text}")));
    let target = call.see(|node| node.version().etcd_minor(1));
    match call.ask(|world, _| world.etcds[place].downgrading) {
        _ if version != target => refused("invalid downgrade target version"),
        true => refused("cluster has a downgrade job in progress"),
        false => Ok(common(call)),
    }
}

pub(super) fn validate(
    call: &Call<'_>,
    request: &EtcdDowngradeValidateRequest,
) -> Result<EtcdDowngradeValidateResponse, Status> {
    etcd::control_plane(call, "etcd downgrade validate")?;
    let version = wanted(&request.version)?;
    let place = etcd::serving(call, "etcd downgrade validate")?;
    let cluster_downgrade = Some(downgrade(call, place, version)?);
    Ok(EtcdDowngradeValidateResponse { messages: vec![EtcdDowngradeValidate { metadata: None, cluster_downgrade }] })
}

pub(super) fn enable(
    call: &Call<'_>,
    request: &EtcdDowngradeEnableRequest,
) -> Result<EtcdDowngradeEnableResponse, Status> {
    etcd::control_plane(call, "etcd downgrade enable")?;
    let version = wanted(&request.version)?;
    let place = etcd::serving(call, "etcd downgrade enable")?;
    let cluster_downgrade = Some(downgrade(call, place, version)?);
    call.act(|world, _| world.etcds[place].downgrading = true);
    Ok(EtcdDowngradeEnableResponse { messages: vec![EtcdDowngradeEnable { metadata: None, cluster_downgrade }] })
}

pub(super) fn cancel(call: &Call<'_>, (): &()) -> Result<EtcdDowngradeCancelResponse, Status> {
    let place = etcd::serving(call, "etcd downgrade cancel")?;
    call.act(|world, _| world.etcds[place].downgrading = false);
    let cluster_downgrade = Some(common(call));
    Ok(EtcdDowngradeCancelResponse { messages: vec![EtcdDowngradeCancel { metadata: None, cluster_downgrade }] })
}
