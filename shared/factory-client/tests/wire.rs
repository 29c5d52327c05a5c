//! The client against a factory with scripted replies.

#![expect(clippy::unwrap_used, reason = "a test fails where its helpers do")]

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use factory_client::{Client, Error, Fetched};
use schematic::{FactoryUrl, Format, Image};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const VANILLA: &str = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";

/// The requests, and the replies that are still to be sent.
#[derive(Default)]
struct Script {
    asked: Vec<String>,
    answers: Vec<Response>,
}

type Shared = Arc<Mutex<Script>>;

async fn factory(answers: Vec<Response>) -> (Client, Shared) {
    let script = Arc::new(Mutex::new(Script { asked: Vec::new(), answers }));
    let app = Router::new().fallback(play).with_state(Arc::clone(&script));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = FactoryUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (Client::new(base).unwrap(), script)
}

async fn play(State(script): State<Shared>, request: Request) -> Response {
    let asked = format!("{} {}", request.method(), request.uri());
    let mut script = script.lock().unwrap();
    script.asked.push(asked);
    if script.answers.is_empty() { answer(500, "nothing left to say") } else { script.answers.remove(0) }
}

fn answer(status: u16, body: &str) -> Response {
    let text = Response::builder().status(status).header("content-type", "text/plain; charset=utf-8");
    text.header("x-request-id", "r-1").body(Body::from(body.to_owned())).unwrap()
}

fn asked(script: &Shared) -> Vec<String> {
    script.lock().unwrap().asked.clone()
}

fn image() -> Image {
    Image {
        schematic: VANILLA.into(),
        version: "v1.13.9".parse().unwrap(),
        platform: "nocloud".into(),
        arch: "amd64".into(),
        format: Format::qcow2(),
        secureboot: false,
    }
}

#[tokio::test]
async fn a_schematic_gets_the_factorys_id() {
    let (client, _) = factory(vec![answer(201, &format!(r#"{{"id":"{VANILLA}"}}"#))]).await;

    assert_eq!(client.register("customization: {}\n").await.unwrap(), VANILLA);
}

#[tokio::test]
async fn a_refused_schematic_is_told_in_the_factorys_words_and_not_tried_again() {
    let words = "yaml: construct errors: line 1: field x not found in type schematic.Schematic";
    let (client, script) = factory(vec![answer(400, words)]).await;

    let error = client.register("x: 1").await.unwrap_err();

    assert_eq!(error.to_string(), "the Image Factory refused POST /schematics");
    assert_eq!(error.refusal().unwrap().message, words);
    assert_eq!(asked(&script).len(), 1);
}

#[tokio::test]
async fn a_factory_in_trouble_is_asked_again() {
    let list = r#"[{"name":"siderolabs/qemu-guest-agent","ref":"ghcr.io/x:1","digest":"sha256:0"}]"#;
    let (client, script) = factory(vec![answer(500, "internal server error\n"), answer(200, list)]).await;

    let extensions = client.extensions("v1.13.9".parse().unwrap()).await.unwrap();

    assert_eq!(extensions[0].name, "siderolabs/qemu-guest-agent");
    assert_eq!(asked(&script), ["GET /version/v1.13.9/extensions/official"; 2]);
}

#[tokio::test]
async fn an_empty_list_of_versions_may_be_null() {
    let (client, _) = factory(vec![answer(200, "null")]).await;

    assert_eq!(client.versions().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_web_site_is_no_factory() {
    let page = Response::builder().status(404).header("content-type", "text/html").body(Body::from("<html>")).unwrap();
    let (client, _) = factory(vec![page]).await;

    assert!(matches!(client.versions().await, Err(Error::Foreign { .. })));
}

#[tokio::test]
async fn an_image_that_can_not_be_built_is_refused_in_words() {
    let words = "error enhancing profile from schematic: official extension \"x\" is not available";
    let (client, script) = factory(vec![answer(400, ""), answer(400, words)]).await;

    let error = client.prepare(&image()).await.unwrap_err();

    assert_eq!(error.refusal().unwrap().message, words);
    assert!(asked(&script)[0].starts_with("HEAD "));
}

/// SHA-256 of `abcdef`.
const DIGEST: &str = "bef57ec7f53a6d40beb640a780a639c83bc29ac8a9816f1fc6c5c6dcd93c4721";

async fn fetched(client: &Client) -> Result<Fetched, Error> {
    client.fetch(&client.base().image(&image()), &mut tokio::io::sink(), |_, _| ()).await
}

/// A factory that sends these bytes, one reply per connection, and closes it.
async fn wire(answers: Vec<String>) -> (Client, Shared) {
    let script = Shared::default();
    let seen = Arc::clone(&script);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = FactoryUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            seen.lock().unwrap().asked.push(String::from_utf8_lossy(&request[..length]).into_owned());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (Client::new(base).unwrap(), script)
}

/// Half of a body of six bytes.
fn half(header: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n{header}\r\nabc")
}

#[tokio::test]
async fn an_image_is_read_while_its_digest_is_taken() {
    let (client, _) = factory(vec![answer(200, "abcdef")]).await;

    let result = fetched(&client).await;

    assert_eq!(result.unwrap(), Fetched { sha256: DIGEST.into(), bytes: 6 });
}

#[tokio::test]
async fn a_download_that_breaks_is_taken_up_where_the_server_can_do_that() {
    let rest = "HTTP/1.1 206 Partial Content\r\ncontent-length: 3\r\ncontent-range: bytes 3-5/6\r\n\r\ndef";
    let (client, script) = wire(vec![half("etag: \"e1\"\r\n"), rest.into()]).await;

    let result = fetched(&client).await;

    assert_eq!(result.unwrap(), Fetched { sha256: DIGEST.into(), bytes: 6 });
    assert!(asked(&script)[1].contains("range: bytes=3-\r\nif-range: \"e1\""));
}

#[tokio::test]
async fn a_download_that_breaks_elsewhere_is_cut_off() {
    let (client, _) = wire(vec![half("")]).await;

    let result = fetched(&client).await;

    assert!(matches!(result, Err(Error::Cut { received: 3, .. })), "{result:?}");
}
