//! Streams that don't end by themselves: COSI watches and events.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use futures_util::stream::{self, StreamExt};
use prost::Message;
use prost_types::Any;
use talos_proto::cosi::resource::{self as cosi_proto, EventType, Resource, WatchOptions, WatchRequest, WatchResponse};
use talos_proto::machine::{Event, EventsRequest};
use tokio::sync::watch::Receiver;
use tonic::Status;

use super::{Call, Reply, cosi};
use crate::Talos;
use crate::events;
use crate::resources::{EventLog, Query, ResourceEvent, Selection};
use crate::world::Id;

/// Something to report, then something that may follow when the node changes.
pub(super) struct Feed<S> {
    talos: Weak<Talos>,
    node: Id,
    generation: u64,
    changes: Receiver<u64>,
    ready: Vec<Vec<u8>>,
    state: S,
    /// The message when the node goes away.
    farewell: Option<Farewell<S>>,
}

type Farewell<S> = fn(&Arc<Talos>, Id, &mut S) -> Vec<Vec<u8>>;

/// Frames that are all there already.
pub(super) fn ended(frames: Vec<Vec<u8>>) -> Reply {
    Reply::Many(stream::iter(frames.into_iter().map(Ok)).boxed())
}

/// Turns a source of news into a stream: `more` returns what has come since it was last asked.
pub(super) fn feed<S, F>(feed: Feed<S>, more: F) -> Reply
where
    S: Send + 'static,
    F: Fn(&Arc<Talos>, Id, &mut S) -> Vec<Vec<u8>> + Clone + Send + 'static,
{
    let frames = stream::unfold(feed, move |mut feed| {
        let more = more.clone();
        async move {
            loop {
                if !feed.ready.is_empty() {
                    let frame = feed.ready.remove(0);
                    return Some((Ok(frame), feed));
                }
                let talos = feed.talos.upgrade()?;
                if talos.read(|world| world.nodes[feed.node].generation) != feed.generation {
                    feed.ready = feed.farewell.take()?(&talos, feed.node, &mut feed.state);
                    continue;
                }
                feed.ready = more(&talos, feed.node, &mut feed.state);
                drop(talos);
                if feed.ready.is_empty() && feed.changes.changed().await.is_err() {
                    return None;
                }
            }
        }
    });
    Reply::Many(frames.boxed())
}

pub(super) fn begin<S>(call: &Call<'_>, ready: Vec<Vec<u8>>, state: S) -> Feed<S> {
    Feed {
        talos: Arc::downgrade(call.talos),
        node: call.node(),
        generation: call.see(|node| node.generation),
        changes: call.talos.watch_node(call.node()),
        ready,
        state,
        farewell: None,
    }
}

/// Somebody who watches resources.
struct Watcher {
    selection: Selection,
    /// The one resource that is watched; none for all of a type.
    id: Option<String>,
    /// The position of the next event to report; after a loss, one that never comes.
    position: i64,
    /// Whether what happens at once is reported at once, in one frame.
    aggregated: bool,
    /// Whether the watcher knows events about the watch itself.
    modern: bool,
}

impl Watcher {
    fn frames(&self, events: Vec<cosi_proto::Event>) -> Vec<Vec<u8>> {
        let frame = |event: Vec<cosi_proto::Event>| WatchResponse { event }.encode_to_vec();
        match (self.aggregated, events.is_empty()) {
            (true, false) => vec![frame(events)],
            _ => events.into_iter().map(|event| frame(vec![event])).collect(),
        }
    }

    /// What has happened since the last report to the watcher.
    fn news(&self, past: &EventLog, position: &mut i64) -> Vec<cosi_proto::Event> {
        if *position >= past.end() {
            return Vec::new();
        }
        let from = std::mem::replace(position, past.end());
        match past.since(from) {
            Some(happened) => happened.filter_map(|(at, happening)| self.reported(past, at, happening)).collect(),
            None => {
                *position = i64::MAX;
                let error = past.overrun(from);
                let event = cosi_proto::Event { error: Some(error), ..event(EventType::Errored, None, None) };
                self.modern.then_some(event).into_iter().collect()
            }
        }
    }

    /// An event as it looks to the watcher: what no longer matches is destroyed to it.
    fn reported(&self, past: &EventLog, at: i64, happening: &ResourceEvent) -> Option<cosi_proto::Event> {
        let ResourceEvent { kind, resource, old } = happening;
        let is = self.selection.matches(resource);
        let was = old.as_ref().map_or(is, |old| self.selection.matches(old));
        let (kind, old) = match (was, is) {
            (false, false) => return None,
            (true, true) => (*kind, old.clone()),
            (true, false) => (EventType::Destroyed, None),
            (false, true) => (EventType::Created, None),
        };
        Some(cosi_proto::Event { bookmark: Some(past.bookmark(at)), ..event(kind, Some(resource.clone()), old) })
    }
}

pub(super) fn watch(call: &Call<'_>) -> Result<Reply, Status> {
    let request: WatchRequest = call.request()?;
    let options = request.options.clone().unwrap_or_default();
    if request.id.is_some() && options.bootstrap_contents {
        return Err(Status::unimplemented("bootstrap contents is not implemented for resource watch"));
    }
    if request.id.is_some() && !options.label_query.is_empty() {
        return Err(Status::unimplemented("label query is not implemented for resource watch"));
    }
    let query = match request.id {
        Some(_) => Query::default(),
        None => Query::new(&options.label_query, options.id_query.as_ref())?,
    };
    let selection = cosi::selection(call, &request.namespace, &request.r#type, request.id.as_deref(), query)?;
    let aggregated = options.aggregated && request.id.is_none();
    let modern = request.api_version >= 1;
    let mut watcher = Watcher { selection, id: request.id.clone(), position: 0, aggregated, modern };
    let events = call.ask(|world, node| {
        let resources = watcher.selection.resources(world, node);
        let selection = &watcher.selection;
        let (position, bookmark) = world.past(node, selection, |past| {
            let position = start(past, watcher.id.as_deref(), &options)?;
            Ok::<_, Status>((position, past.bookmark(position - 1)))
        })?;
        watcher.position = position;
        Ok::<_, Status>(beginning(&watcher, &request, &options, resources, &bookmark))
    })?;
    let mut first = vec![WatchResponse::default().encode_to_vec()];
    first.extend(watcher.frames(events));
    Ok(feed(begin(call, first, watcher), |talos, node, watcher: &mut Watcher| {
        let events = talos.read(|world| {
            let (selection, mut position) = (&watcher.selection, watcher.position);
            let news = world.past(node, selection, |past| watcher.news(past, &mut position));
            watcher.position = position;
            news
        });
        watcher.frames(events)
    }))
}

/// The position of the first event that a watcher gets.
fn start(past: &EventLog, id: Option<&str>, options: &WatchOptions) -> Result<i64, Status> {
    let tail = options.tail_events > 0;
    if id.is_none() && options.bootstrap_contents && (tail || options.start_from_bookmark.is_some()) {
        return Err(Status::unknown("cannot use BootstrapContents with TailEvents and StartFromBookmark options"));
    }
    match &options.start_from_bookmark {
        Some(_) if tail => Err(Status::unknown("cannot use both TailEvents and StartFromBookmark options")),
        Some(bookmark) => {
            // The bookmark of a list that was empty stands before all events; a single resource has none such.
            let lowest = if id.is_none() { -1 } else { 0 };
            past.after(bookmark, lowest).ok_or_else(|| Status::failed_precondition("invalid watch bookmark"))
        }
        None if tail => Ok(past.tail(options.tail_events, id)),
        None => Ok(past.end()),
    }
}

/// What a watcher gets first: the current state, and where it may continue from.
fn beginning(
    watcher: &Watcher,
    request: &WatchRequest,
    options: &WatchOptions,
    resources: Vec<Resource>,
    bookmark: &[u8],
) -> Vec<cosi_proto::Event> {
    let gone = |id: &str| Some(cosi::tombstone(&request.namespace, &request.r#type, id));
    let mark = |kind| cosi_proto::Event { bookmark: Some(bookmark.to_owned()), ..event(kind, gone(""), None) };
    let empty = resources.is_empty();
    let created = resources.into_iter().map(|resource| event(EventType::Created, Some(resource), None));
    let past = options.tail_events > 0 || options.start_from_bookmark.is_some();
    let mut events = Vec::new();
    match &watcher.id {
        Some(_) if past => {}
        Some(id) if empty => events.push(event(EventType::Destroyed, gone(id), None)),
        Some(_) => events.extend(created),
        None => {
            if options.bootstrap_contents {
                events.extend(created);
                events.extend(watcher.modern.then(|| mark(EventType::Bootstrapped)));
            }
            events.extend(options.bootstrap_bookmark.then(|| mark(EventType::Noop)));
        }
    }
    events
}

fn event(kind: EventType, resource: Option<Resource>, old: Option<Resource>) -> cosi_proto::Event {
    cosi_proto::Event { resource, old, error: None, event_type: kind as i32, bookmark: None }
}

/// The events of a node: a hello, as much of the past as was asked for, and what comes.
pub(super) fn events(call: &Call<'_>) -> Result<Reply, Status> {
    let request: EventsRequest = call.request()?;
    let boot_id = call.see(|node| node.boot_id.clone());
    let after = call.ask(|world, id| {
        let node = &world.nodes[id];
        let last = node.events.back().map_or(0, |event| event.number);
        if request.tail_events != 0 {
            let kept = u64::try_from(request.tail_events).unwrap_or(u64::MAX);
            return last.saturating_sub(kept);
        }
        if !request.tail_id.is_empty() {
            let seen = node.events.iter().find(|event| events::id(&boot_id, event.number) == request.tail_id);
            return seen.map_or(last, |event| event.number);
        }
        let since =
            world.now.saturating_sub(std::time::Duration::from_secs(request.tail_seconds.max(0).unsigned_abs().into()));
        match request.tail_seconds {
            0 => last,
            _ => node.events.iter().find(|event| event.at >= since).map_or(last, |event| event.number - 1),
        }
    });
    let hello = Event {
        metadata: None,
        data: Some(Any::default()),
        id: events::id(&boot_id, 0),
        actor_id: request.with_actor_id.clone(),
    };
    let state = Heard { after, boot_id, actor: request.with_actor_id };
    let farewell: Farewell<Heard> = |talos, node, heard| {
        talos.read(|world| match world.nodes[node].boot_id == heard.boot_id {
            true => heard.frames(&world.nodes[node].events),
            false => heard.frames(&world.nodes[node].farewell),
        })
    };
    let listening = Feed { farewell: Some(farewell), ..begin(call, vec![hello.encode_to_vec()], state) };
    Ok(feed(listening, |talos, node, heard| talos.read(|world| heard.frames(&world.nodes[node].events))))
}

/// What a listener has received, and whose events it wants.
struct Heard {
    after: u64,
    boot_id: String,
    actor: String,
}

impl Heard {
    /// The events that it hasn't received.
    fn frames(&mut self, events: &VecDeque<events::Event>) -> Vec<Vec<u8>> {
        let fresh = events.iter().filter(|event| event.number > self.after);
        let wanted = fresh.filter(|event| self.actor.is_empty() || event.actor == self.actor);
        let frames = wanted.map(|event| {
            let data = Any { type_url: event.type_url.clone(), value: event.value.clone() };
            let id = events::id(&self.boot_id, event.number);
            Event { metadata: None, data: Some(data), id, actor_id: event.actor.clone() }.encode_to_vec()
        });
        let frames = frames.collect();
        self.after = events.back().map_or(self.after, |event| event.number);
        frames
    }
}
