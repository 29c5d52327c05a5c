//! Taking in an image that a caller has as an archive.

use std::io::Read;

use prost::Message;
use serde_json::Value;
use talos_proto::machine::image_service_import_request::Request;
use talos_proto::machine::{ImageServiceImportRequest, ImageServiceImportResponse};
use tonic::Status;

use super::{Call, Reply};

/// The first message names the destination, the others hold the archive.
pub(super) fn import(call: &Call<'_>) -> Result<Reply, Status> {
    let read = |message: &bytes::Bytes| {
        let request = ImageServiceImportRequest::decode(message.clone());
        request.map_err(|_| Status::internal("grpc: error unmarshalling request"))
    };
    let mut requests = call.messages.iter().map(read).collect::<Result<Vec<_>, _>>()?.into_iter();
    if !matches!(requests.next().and_then(|first| first.request), Some(Request::Containerd(_))) {
        return Err(Status::invalid_argument("containerd instance is required"));
    }
    let mut archive = Vec::new();
    for request in requests {
        match request.request {
            Some(Request::ImageChunk(chunk)) => archive.extend_from_slice(&chunk.bytes),
            _ => return Err(Status::internal("failed to import image: no image chunk")),
        }
    }
    let failed = |error| Status::internal(format!("failed to import image: {error}"));
    let name = name(&archive).map_err(failed)?;
    let name = name.ok_or_else(|| Status::invalid_argument("no images imported from archive"))?;
    call.act(|world, id| {
        world.nodes[id].pulled.insert(name.clone());
        world.touch(id);
    });
    Ok(Reply::One(ImageServiceImportResponse { name }.encode_to_vec()))
}

/// The name of the first image in an archive, as Docker or OCI write it.
fn name(archive: &[u8]) -> std::io::Result<Option<String>> {
    let mut found = None;
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        if path != "manifest.json" && path != "index.json" {
            continue;
        }
        let mut text = String::new();
        entry.read_to_string(&mut text)?;
        let value: Value = serde_json::from_str(&text)?;
        let annotations = &value["manifests"][0]["annotations"];
        let name = [
            &value[0]["RepoTags"][0],
            &annotations["io.containerd.image.name"],
            &annotations["org.opencontainers.image.ref.name"],
        ];
        found = name.into_iter().find_map(|name| name.as_str().map(str::to_owned)).or(found);
    }
    Ok(found)
}
