//! `talos-gen secrets`: what `talosctl gen secrets` writes.

use std::path::Path;

use cluster_pki::{Authority, Bundle, Kubernetes, Secret};
use machine_config::Contract;
use record::{Code, Exit, Failure};
use step::Console;
use time::OffsetDateTime;

use super::{check_target, contract, emit, load};
use crate::access::entropy;
use crate::args::Secrets;
use crate::error::Error;
use crate::files;

pub(super) fn secrets(args: &Secrets, console: &Console) -> Result<Exit, Failure> {
    let contract = contract(args.talos_version.as_deref())?;
    check_target(&args.output_file, args.force, console)?;
    let bundle = match (&args.from_controlplane_config, &args.from_kubernetes_pki) {
        (Some(path), _) => from_config(&path.display().to_string())?,
        (None, Some(folder)) => around(folder, args.kubernetes_bootstrap_token.as_deref(), contract)?,
        (None, None) => new(contract)?,
    };
    emit(&args.output_file, bundle.to_yaml().expose(), args.force, console)
}

pub(super) fn new(contract: Contract) -> Result<Bundle, Failure> {
    let bundle = Bundle::generate(contract, OffsetDateTime::now_utc(), &mut entropy()?);
    Ok(bundle.map_err(Error::Pki)?)
}

fn from_config(path: &str) -> Result<Bundle, Failure> {
    let config = load(path)?;
    Bundle::from_config(&config).map_err(|source| Error::Bundle { path: path.to_owned(), source }.into())
}

/// Reads the keys of a Kubernetes cluster from a folder; all of them must exist.
fn around(folder: &Path, token: Option<&str>, contract: Contract) -> Result<Bundle, Failure> {
    let read = |name: String| files::read(&folder.join(name).display().to_string());
    let authority = |name: &str| -> Result<Authority, Failure> {
        Ok(Authority { crt: read(format!("{name}.crt"))?, key: read(format!("{name}.key"))?.into() })
    };
    let kubernetes = Kubernetes {
        authority: authority("ca")?,
        etcd: authority("etcd/ca")?,
        aggregator: authority("front-proxy-ca")?,
        service_account: read("sa.key".to_owned())?.into(),
        bootstrap_token: token.map(bootstrap_token).transpose()?,
    };
    let bundle = Bundle::around_kubernetes(contract, kubernetes, OffsetDateTime::now_utc(), &mut entropy()?);
    bundle.map_err(|source| Error::Bundle { path: folder.display().to_string(), source }.into())
}

/// A token from a file: every user of the machine can read command lines.
fn bootstrap_token(path: &str) -> Result<Secret, Failure> {
    if is_token(path) {
        let text = "--kubernetes-bootstrap-token takes a file, not the token: other users see command lines";
        return Err(Error::Usage(text.to_owned()).into());
    }
    let text = Secret::new(files::read(path)?.trim());
    if is_token(text.expose()) {
        return Ok(text);
    }
    let form = "[a-z0-9]{6}.[a-z0-9]{16}";
    Err(Failure::new(Exit::Unusable, Code::Secrets, format!("{path}: a bootstrap token has the form {form}")))
}

fn is_token(text: &str) -> bool {
    let fits =
        |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
    text.split_once('.').is_some_and(|(id, secret)| fits(id, 6) && fits(secret, 16))
}
