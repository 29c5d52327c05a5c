//! Resources: what a node reports about its state.

use prost::Message;
use talos_proto::cosi::resource::{GetRequest, ListRequest, Resource};

use crate::{Error, Node};

/// More resources of one kind than any node has.
const MOST: usize = 10_000;

/// A kind of resource: its namespace and its full type.
pub(crate) struct Kind {
    pub(crate) call: &'static str,
    pub(crate) namespace: &'static str,
    pub(crate) name: &'static str,
}

impl Node {
    /// The spec of one resource, or `None` where there is none by this ID (yet).
    pub(crate) async fn resource<S: Message + Default>(&self, kind: &Kind, id: &str) -> Result<Option<S>, Error> {
        match self.found(kind, id).await? {
            Some(resource) => self.spec(kind, &resource).map(Some),
            None => Ok(None),
        }
    }

    /// One resource, not decoded, or `None`.
    pub(crate) async fn found(&self, kind: &Kind, id: &str) -> Result<Option<Resource>, Error> {
        let request = GetRequest {
            namespace: kind.namespace.to_owned(),
            r#type: kind.name.to_owned(),
            id: id.to_owned(),
            options: None,
        };
        match self.looked(kind.call, || async { self.state().get(request.clone()).await }).await {
            Ok(reply) => Ok(reply.resource),
            Err(Error::Failed { code: tonic::Code::NotFound, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The IDs and specs of all resources of a kind.
    pub(crate) async fn resources<S: Message + Default>(&self, kind: &Kind) -> Result<Vec<(String, S)>, Error> {
        let request = ListRequest { namespace: kind.namespace.to_owned(), r#type: kind.name.to_owned(), options: None };
        let replies =
            self.looked_at_all(kind.call, MOST, || async { self.state().list(request.clone()).await }).await?;
        replies
            .into_iter()
            .filter_map(|reply| reply.resource)
            .map(|resource| {
                let spec = self.spec(kind, &resource)?;
                let id = resource.metadata.map(|metadata| metadata.id).unwrap_or_default();
                Ok((id, spec))
            })
            .collect()
    }

    fn spec<S: Message + Default>(&self, kind: &Kind, resource: &Resource) -> Result<S, Error> {
        let spec = resource.spec.as_ref().ok_or_else(|| self.unreadable(kind.call, "it holds no spec".to_owned()))?;
        S::decode(spec.proto_spec.as_slice()).map_err(|error| self.unreadable(kind.call, error.to_string()))
    }
}
