//! Calls about an etcd that doesn't run, and about members that it doesn't have (seen on 1.13.9).

use super::*;
use crate::testing::Secrets;

/// What a node's API answers an administrator.
fn asked(talos: &std::sync::Arc<Talos>, method: &str, request: &impl Message) -> Result<Reply, Status> {
    let caller = Caller { node: 0, roles: vec![ADMIN.to_owned()], maintenance: false };
    let messages = [Bytes::from(request.encode_to_vec())];
    call(talos, &caller, &format!("/machine.MachineService/{method}"), &HeaderMap::new(), &messages)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_about_etcd_is_answered_while_it_does_not_run_and_its_folder_is_there_and_empty() {
    let talos = lab("127.72.7.0/24");
    let node = boot(&talos, "cp-1", "127.72.7.11", "v1.13.9").await;
    node.apply(&Secrets::new().control_plane("cp-1", "https://127.72.7.11:6443")).unwrap();
    assert!(node.until(BOUND, |node| node.listens() && node.stage() == Stage::Booting).await);
    let calls = [
        "EtcdMemberList",
        "EtcdStatus",
        "EtcdAlarmList",
        "EtcdSnapshot",
        "EtcdDefragment",
        "EtcdForfeitLeadership",
        "EtcdRemoveMemberByID",
    ];
    for method in calls {
        assert!(matches!(asked(&talos, method, &()), Ok(Reply::Never)), "{method} is answered");
    }
    let list = ListRequest { root: "/var/lib/etcd".to_owned(), ..Default::default() };
    let Ok(Reply::Many(frames)) = asked(&talos, "List", &list) else { panic!("no listing") };
    let frames = tokio::time::timeout(BOUND, frames.collect::<Vec<_>>()).await.expect("an end");
    let files: Vec<_> = frames.into_iter().map(|frame| FileInfo::decode(&frame.unwrap()[..]).unwrap()).collect();
    let names: Vec<_> = files.iter().map(|file| (file.name.as_str(), file.relative_name.as_str())).collect();
    assert_eq!(names, [("/var/lib/etcd", ".")]);

    asked(&talos, "Bootstrap", &BootstrapRequest::default()).unwrap();
    assert!(node.until(BOUND, crate::handle::NodeHandle::is_etcd_member).await);
    for method in &calls[..5] {
        assert!(!matches!(asked(&talos, method, &()), Ok(Reply::Never)), "{method} is not answered");
    }
    let refused = asked(&talos, "EtcdRemoveMemberByID", &EtcdRemoveMemberByIdRequest { member_id: 1 }).err().unwrap();
    let text = "failed to remove member 1: etcdserver: member not found";
    assert_eq!((refused.code(), refused.message()), (Code::NotFound, text));
}
