//! Watches that begin in the past, as COSI's own store lets them.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use http::HeaderMap;
use prost::Message;
use talos_proto::cosi::resource::{
    Event, EventType, IdQuery, LabelQuery, LabelTerm, WatchOptions, WatchRequest, WatchResponse,
};
use tonic::Code;

use super::{Caller, Reply, call};
use crate::Talos;
use crate::testing::cluster;

const KIND: &str = "Diagnostics.runtime.talos.dev";

/// A watch under way.
struct Watch(futures_util::stream::BoxStream<'static, Result<Vec<u8>, tonic::Status>>);

impl Watch {
    /// The events of the next frame.
    async fn frame(&mut self) -> Vec<Event> {
        let frame = self.0.next().await.unwrap().unwrap();
        WatchResponse::decode(&frame[..]).unwrap().event
    }

    /// So many events, each as its kind and the name of its resource, and the bookmark of the last.
    async fn events(&mut self, count: usize) -> (Vec<String>, Vec<u8>) {
        let (mut reported, mut bookmark) = (Vec::new(), Vec::new());
        while reported.len() < count {
            for event in self.frame().await {
                let id = event.resource.unwrap().metadata.unwrap().id;
                reported.push(format!("{:?} {id}", EventType::try_from(event.event_type).unwrap()));
                bookmark = event.bookmark.unwrap_or_default();
            }
        }
        (reported, bookmark)
    }
}

fn watch(talos: &Arc<Talos>, id: Option<&str>, options: WatchOptions) -> Result<Watch, tonic::Status> {
    watch_in(talos, "runtime", id, options)
}

fn watch_in(
    talos: &Arc<Talos>,
    namespace: &str,
    id: Option<&str>,
    options: WatchOptions,
) -> Result<Watch, tonic::Status> {
    let request = WatchRequest {
        namespace: namespace.to_owned(),
        r#type: KIND.to_owned(),
        id: id.map(str::to_owned),
        options: Some(options),
        api_version: 1,
    };
    let caller = Caller { node: 0, roles: vec!["os:admin".to_owned()], maintenance: false };
    let messages = [Bytes::from(request.encode_to_vec())];
    match call(talos, &caller, "/cosi.resource.State/Watch", &HeaderMap::new(), &messages)? {
        Reply::Many(stream) => Ok(Watch(stream)),
        Reply::One(_) | Reply::Never => panic!("a watch is a stream"),
    }
}

fn tail(count: i32) -> WatchOptions {
    WatchOptions { tail_events: count, ..Default::default() }
}

fn from(bookmark: &[u8]) -> WatchOptions {
    WatchOptions { start_from_bookmark: Some(bookmark.to_owned()), ..Default::default() }
}

/// Lets three things happen to two diagnostics that somebody watched once.
async fn lived(talos: &Arc<Talos>) {
    drop(watch(talos, None, WatchOptions::default()).unwrap());
    let node = talos.node("cp-1").unwrap();
    node.set_diagnostic("a", Some("first"));
    node.set_diagnostic("b", Some("first"));
    node.set_diagnostic("a", Some("second"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_begins_with_as_many_of_the_last_events_as_it_asks_for() {
    let talos = cluster("127.75.1.0/24").await;
    lived(&talos).await;
    let reported = async |id, count, events| {
        let mut watch = watch(&talos, id, tail(count)).unwrap();
        assert!(watch.frame().await.is_empty());
        watch.events(events).await.0
    };
    assert_eq!(reported(None, 2, 2).await, ["Created b", "Updated a"]);
    assert_eq!(reported(None, 99, 3).await, ["Created a", "Created b", "Updated a"]);
    assert_eq!(reported(Some("a"), 1, 1).await, ["Updated a"]);
    assert_eq!(reported(Some("a"), 2, 2).await, ["Created a", "Updated a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_after_its_bookmark_with_what_nobody_has_heard() {
    let talos = cluster("127.75.2.0/24").await;
    lived(&talos).await;
    let mut first = watch(&talos, None, tail(3)).unwrap();
    let (_, bookmark) = first.events(1).await;
    drop(first);
    talos.node("cp-1").unwrap().set_diagnostic("b", None);

    let mut whole = watch(&talos, None, from(&bookmark)).unwrap();
    assert_eq!(whole.events(3).await.0, ["Created b", "Updated a", "Destroyed b"]);
    let mut single = watch(&talos, Some("b"), from(&bookmark)).unwrap();
    assert_eq!(single.events(2).await.0, ["Created b", "Destroyed b"]);
    let mut aggregated = watch(&talos, None, WatchOptions { aggregated: true, ..from(&bookmark) }).unwrap();
    assert!(aggregated.frame().await.is_empty());
    assert_eq!(aggregated.frame().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bookmark_of_an_empty_list_stands_before_all_events() {
    let talos = cluster("127.75.3.0/24").await;
    let listed = WatchOptions { bootstrap_contents: true, bootstrap_bookmark: true, ..Default::default() };
    let mut list = watch(&talos, None, listed).unwrap();
    let (reported, bookmark) = list.events(2).await;
    assert_eq!(reported, ["Bootstrapped ", "Noop "]);
    let refused = watch(&talos, Some("a"), from(&bookmark)).err().unwrap();
    assert_eq!((refused.code(), refused.message()), (Code::FailedPrecondition, "invalid watch bookmark"));

    lived(&talos).await;
    let mut rest = watch(&talos, None, from(&bookmark)).unwrap();
    assert_eq!(rest.events(3).await.0, ["Created a", "Created b", "Updated a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bookmark_that_is_unknown_or_too_old_is_refused() {
    let talos = cluster("127.75.4.0/24").await;
    lived(&talos).await;
    let (_, bookmark) = watch(&talos, None, tail(3)).unwrap().events(1).await;
    let code = |bookmark: &[u8]| watch(&talos, None, from(bookmark)).err().map(|status| status.code());
    assert_eq!(code(&bookmark), None);
    let mut future = bookmark.clone();
    future[15] = 200;
    let mut foreign = bookmark.clone();
    foreign[0] ^= 1;
    for wrong in [&b""[..], b"short", &future, &foreign] {
        assert_eq!(code(wrong), Some(Code::FailedPrecondition), "{wrong:?}");
    }
    let elsewhere = watch_in(&talos, "k8s", None, from(&bookmark)).err().unwrap();
    assert_eq!(elsewhere.message(), "invalid watch bookmark");

    let node = talos.node("cp-1").unwrap();
    let happen = |range: std::ops::Range<u32>| {
        range.for_each(|number| node.set_diagnostic("a", Some(&format!("number {number}"))));
    };
    happen(0..1016);
    assert_eq!(code(&bookmark), None, "the ring holds 1019 events");
    happen(1016..1030);
    assert_eq!(code(&bookmark), Some(Code::FailedPrecondition));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_is_too_slow_hears_that_it_has_lost_events() {
    let talos = cluster("127.75.5.0/24").await;
    lived(&talos).await;
    let mut slow = watch(&talos, None, WatchOptions::default()).unwrap();
    let node = talos.node("cp-1").unwrap();
    for number in 0..1100 {
        node.set_diagnostic("a", Some(&format!("number {number}")));
    }
    assert!(slow.frame().await.is_empty());
    let event = slow.frame().await.remove(0);
    let text = "buffer overrun: namespace \"runtime\" type \"Diagnostics.runtime.talos.dev\", write pos 1103, pos 3, \
                capacity 1024";
    assert_eq!((event.event_type(), event.error.as_deref()), (EventType::Errored, Some(text)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_filtered_and_options_that_exclude_each_other_are_refused() {
    let talos = cluster("127.75.6.0/24").await;
    lived(&talos).await;
    let named = IdQuery { regexp: "^b".to_owned() };
    let mut filtered = watch(&talos, None, WatchOptions { id_query: Some(named), ..tail(3) }).unwrap();
    assert_eq!(filtered.events(1).await.0, ["Created b"]);
    let term = LabelTerm { key: "no".to_owned(), ..Default::default() };
    let labelled = WatchOptions { label_query: vec![LabelQuery { terms: vec![term] }], ..Default::default() };
    for (id, options, code) in [
        (None, WatchOptions { bootstrap_contents: true, ..tail(1) }, Code::Unknown),
        (None, WatchOptions { tail_events: 1, ..from(b"") }, Code::Unknown),
        (Some("a"), WatchOptions { tail_events: 1, ..from(b"") }, Code::Unknown),
        (Some("a"), labelled, Code::Unimplemented),
    ] {
        assert_eq!(watch(&talos, id, options.clone()).err().map(|status| status.code()), Some(code), "{options:?}");
    }
}
