//! The client against an API server that wants a client certificate.

#![expect(clippy::unwrap_used, reason = "a test fails where its helpers do")]

use std::sync::Arc;

use kube_client::{Client, Error, Kubeconfig};
use p256::pkcs8::DecodePrivateKey;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig, crypto::ring::default_provider, pki_types::PrivateKeyDer,
        server::WebPkiClientVerifier,
    },
};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// An API server that gives everybody with a certificate of `authority` this answer.
async fn server(authority: &Authority, answer: &'static str) -> String {
    let provider = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

/// A kubeconfig as a Talos node writes it: P-256, the key in SEC1 form.
fn kubeconfig(server: &str, authority: &Authority) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, authority).unwrap().pem();
    let sec1 = p256::SecretKey::from_pkcs8_der(&key.serialize_der()).unwrap();
    let sec1 = sec1.to_sec1_pem(p256::pkcs8::LineEnding::LF).unwrap();
    let (ca, certificate) = (STANDARD.encode(authority.pem()), STANDARD.encode(certificate));
    let key = STANDARD.encode(sec1.as_bytes());
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: admin@lab\n\
         clusters:\n- name: lab\n  cluster:\n    server: {server}\n    certificate-authority-data: {ca}\n\
         users:\n- name: admin@lab\n  user:\n    client-certificate-data: {certificate}\n    client-key-data: {key}\n\
         contexts:\n- name: admin@lab\n  context: {{cluster: lab, namespace: default, user: admin@lab}}\n"
    )
}

fn client(server: &str, authority: &Authority) -> Client {
    Client::new(&Kubeconfig::parse(&kubeconfig(server, authority), None).unwrap()).unwrap()
}

const READY: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nok";

#[tokio::test]
async fn an_api_that_is_ready_is_asked_with_the_credentials_of_a_kubeconfig() {
    let authority = authority();
    let address = server(&authority, READY).await;

    client(&address, &authority).ready().await.unwrap();
}

#[tokio::test]
async fn a_page_with_status_200_is_no_api_that_is_ready() {
    let authority = authority();
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>please log in</html>";
    let address = server(&authority, page).await;

    let error = client(&address, &authority).ready().await.unwrap_err();

    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn an_api_that_is_not_ready_says_what_is_missing() {
    let authority = authority();
    let answer = "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n\r\n[-]etcd failed: reason withheld\n";
    let address = server(&authority, answer).await;

    let error = client(&address, &authority).ready().await.unwrap_err();

    let Error::Refused { source, path: "/readyz", status: 500, .. } = error else { panic!("{error:?}") };
    assert_eq!(source.to_string(), "[-]etcd failed: reason withheld");
}

#[tokio::test]
async fn a_server_of_another_cluster_is_unreachable_for_its_certificate() {
    let address = server(&authority(), READY).await;

    let error = client(&address, &authority()).ready().await.unwrap_err();

    let Error::Unreachable { source, .. } = error else { panic!("{error:?}") };
    assert!(source.to_string().contains("certificate"), "{source}");
}
