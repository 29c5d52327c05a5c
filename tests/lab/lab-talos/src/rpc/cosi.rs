//! Reading resources.

use talos_proto::cosi::resource::{GetRequest, GetResponse, ListRequest, ListResponse, Metadata, Resource, Spec};
use tonic::Status;

use super::Call;
use crate::node::Node;
use crate::resources::{self, Query, Selection};

/// Checks that a type may be read, and by the caller; gives what to read.
pub(super) fn selection(
    call: &Call<'_>,
    namespace: &str,
    kind: &str,
    id: Option<&str>,
    query: Query,
) -> Result<Selection, Status> {
    let release = call.see(Node::version);
    let Some(definition) = resources::definition(kind, release) else {
        return Err(Status::permission_denied(format!("resource type \"{kind}\" is not supported")));
    };
    if definition.sensitive && (call.caller.maintenance || !call.is_admin()) {
        return Err(Status::permission_denied("not authorized"));
    }
    if !resources::has_namespace(namespace, release) {
        return Err(Status::permission_denied(format!("namespace \"{namespace}\" is not supported")));
    }
    Ok(Selection::new(definition, namespace, id, query))
}

pub(super) fn get(call: &Call<'_>, request: &GetRequest) -> Result<GetResponse, Status> {
    let selection = selection(call, &request.namespace, &request.r#type, Some(&request.id), Query::default())?;
    let mut found = call.ask(|world, id| selection.resources(world, id));
    match found.pop() {
        Some(resource) => Ok(GetResponse { resource: Some(resource) }),
        None => Err(Status::not_found(format!(
            "resource {}({}/{}@undefined) doesn't exist",
            request.r#type, request.namespace, request.id
        ))),
    }
}

pub(super) fn list(call: &Call<'_>, request: &ListRequest) -> Result<Vec<ListResponse>, Status> {
    let options = request.options.clone().unwrap_or_default();
    let query = Query::new(&options.label_query, options.id_query.as_ref())?;
    let selection = selection(call, &request.namespace, &request.r#type, None, query)?;
    let found = call.ask(|world, id| selection.resources(world, id));
    Ok(found.into_iter().map(|resource| ListResponse { resource: Some(resource) }).collect())
}

/// What is left of a resource that isn't there: clients want a spec, though it is empty.
pub(super) fn tombstone(namespace: &str, kind: &str, id: &str) -> Resource {
    let metadata = Metadata {
        namespace: namespace.to_owned(),
        r#type: kind.to_owned(),
        id: id.to_owned(),
        version: "undefined".to_owned(),
        phase: "running".to_owned(),
        ..Metadata::default()
    };
    Resource { metadata: Some(metadata), spec: Some(Spec::default()) }
}
