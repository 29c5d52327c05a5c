//! The secrets bundle and the talosconfig in the cluster's folder.

use std::path::PathBuf;

use cluster_pki::{Bundle, Random};
use go_yaml::kept::{Lost, Unkept};
use machine_config::Contract;
use record::{Code, Exit, Failure};
use step::{ClusterDir, Made};
use talosconfig::Context;
use talosconfig::kept::KeptTalosconfig;
use time::{Duration, OffsetDateTime};

use crate::error::Error;

pub(crate) const SECRETS: &str = "secrets.yaml";
pub(crate) const TALOSCONFIG: &str = "talosconfig";

/// How long client certificates last, as talosctl's do.
pub(crate) const LIFETIME: Duration = Duration::hours(8760);

/// With less than this left, a client certificate is renewed.
const RENEW_BEFORE: Duration = Duration::days(30);

/// The operating system's random numbers; fails if there are none.
pub(crate) fn entropy() -> Result<impl Random, Failure> {
    getrandom::fill(&mut [0; 1])
        .map_err(|error| Failure::new(Exit::Failed, Code::NoRandomness, format!("no random numbers: {error}")))?;
    Ok(|bytes: &mut [u8]| getrandom::fill(bytes).expect("the operating system gave random numbers a moment ago"))
}

/// The bundle in the folder; `None` if there is none yet.
///
/// Fails if the secrets of an existing cluster are missing: new ones would lock everybody out.
pub(crate) fn existing(dir: &ClusterDir) -> Result<Option<Bundle>, Failure> {
    let path = dir.path(SECRETS).display().to_string();
    if let Some(bytes) = dir.read(SECRETS)? {
        return read(&path, &bytes).map(Some);
    }
    if dir.lock()?.is_none_or(|lock| lock.contract().is_none()) {
        return Ok(None);
    }
    // The lock is written after the secrets: another first run may have made both since the look above.
    match dir.read(SECRETS)? {
        Some(bytes) => read(&path, &bytes).map(Some),
        None => Err(Error::SecretsGone { path }.into()),
    }
}

/// Fails unless the bundle is the one that the cluster was created with.
pub(crate) fn same_cluster(dir: &ClusterDir, locked: Option<&str>, found: &str) -> Result<(), Failure> {
    let Some(locked) = locked.filter(|locked| *locked != found) else { return Ok(()) };
    let path = dir.path(SECRETS).display().to_string();
    Err(Error::OtherCluster { path, locked: locked.to_owned(), found: found.to_owned() }.into())
}

fn read(path: &str, bytes: &[u8]) -> Result<Bundle, Failure> {
    let text = String::from_utf8_lossy(bytes);
    step::protect_keys(&text);
    Bundle::from_yaml(&text).map_err(|source| Error::Bundle { path: path.to_owned(), source }.into())
}

/// Generates the bundle. Of two runs at the same time, one writes it and the other one reads it.
pub(crate) fn make(dir: &ClusterDir, contract: Contract) -> Result<(Bundle, Made), Failure> {
    let bundle = Bundle::generate(contract, OffsetDateTime::now_utc(), &mut entropy()?).map_err(Error::Pki)?;
    step::protect_keys(bundle.to_yaml().expose());
    let made = dir.create(SECRETS, bundle.to_yaml().expose().as_bytes())?;
    match made {
        Made::Now => Ok((bundle, made)),
        Made::Before => {
            let bytes = dir.read(SECRETS)?.unwrap_or_default();
            Ok((read(&dir.path(SECRETS).display().to_string(), &bytes)?, made))
        }
    }
}

/// The current talosconfig, and the wanted one.
pub(crate) struct Access {
    /// The file as it is.
    text: String,
    config: KeptTalosconfig,
    name: String,
    /// Whether its credentials can stay.
    good: bool,
    /// Whether its context has credentials that the bundle can't make again: those of another cluster.
    foreign: bool,
}

/// Reads the talosconfig so that nothing in it is lost when it is written again.
pub(crate) fn kept(dir: &ClusterDir, name: &str) -> Result<(String, KeptTalosconfig), Failure> {
    let refused = |source| Error::Talosconfig { path: dir.path(TALOSCONFIG).display().to_string(), source };
    let bytes = dir.read(TALOSCONFIG)?.unwrap_or_default();
    let text = String::from_utf8(bytes).map_err(|_| refused(Unkept::Text))?;
    let config = KeptTalosconfig::parse(&text, name).map_err(refused)?;
    Ok((text, config))
}

impl Access {
    /// Reads the file, and checks its credentials against the bundle and the time.
    pub(crate) fn read(dir: &ClusterDir, name: &str, bundle: &Bundle) -> Result<Self, Failure> {
        let (text, config) = kept(dir, name)?;
        let until = OffsetDateTime::now_utc() + RENEW_BEFORE;
        let (mut good, mut foreign) = (false, false);
        if let Ok(context) = config.config().context(name) {
            let ours = bundle.has_signed(context);
            good = ours && context.not_after().is_ok_and(|not_after| not_after > until);
            let is_empty = context.ca.is_empty() && context.crt.is_empty() && context.key.is_empty();
            foreign = !ours && !is_empty;
        }
        Ok(Self { text, config, name: name.to_owned(), good, foreign })
    }

    fn context(&self) -> Option<&Context> {
        self.config.config().context(&self.name).ok()
    }

    /// The endpoints that it has, if its credentials can stay.
    pub(crate) fn endpoints(&self) -> Option<&[String]> {
        let context = self.context().filter(|_| self.good)?;
        Some(&context.endpoints)
    }

    /// Whether nothing has to be written for these endpoints.
    pub(crate) fn is_settled(&self, endpoints: &[String]) -> bool {
        self.endpoints() == Some(endpoints)
    }

    /// Writes it with these endpoints, with new credentials only where the old ones can't stay. Returns where the file is
    /// kept as it was, if something in it can't be written again.
    pub(crate) fn write(
        &mut self,
        dir: &ClusterDir,
        bundle: &Bundle,
        endpoints: &[String],
    ) -> Result<Option<PathBuf>, Failure> {
        // Its user may have changed it since the run began.
        *self = Self::read(dir, &self.name, bundle)?;
        let dialect = Contract::STABLE.dialect();
        let before = self.context().cloned().unwrap_or_default();
        let context = match self.good {
            true => Context { endpoints: endpoints.to_vec(), ..before },
            false => {
                let Context { ca, crt, key, .. } = credentials(bundle, Vec::new())?;
                Context { endpoints: endpoints.to_vec(), ca, crt, key, ..before }
            }
        };
        let lost = Lost::of(&self.text, self.config.emit(dialect).expose());
        let copy = match lost != Lost::Nothing || self.foreign {
            true => dir.keep_copy(TALOSCONFIG, self.text.as_bytes(), lost == Lost::Comments || self.foreign)?,
            false => None,
        };
        self.config.set(&self.name, context);
        (self.good, self.foreign) = (true, false);
        dir.write(TALOSCONFIG, self.config.emit(dialect).expose().as_bytes())?;
        Ok(copy)
    }
}

/// New credentials of an administrator.
pub(crate) fn credentials(bundle: &Bundle, endpoints: Vec<String>) -> Result<Context, Failure> {
    let now = OffsetDateTime::now_utc();
    let context = bundle.client(&["os:admin"], endpoints, now, LIFETIME, &mut entropy()?);
    Ok(context.map_err(Error::Pki)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_first_runs_one_makes_the_secrets_and_the_others_take_them_over() {
        let folder = tempfile::tempdir().unwrap();
        let dir = ClusterDir::new(folder.path().join("lab"), "lab");
        let old = Contract::parse("v1.6").unwrap();
        let start = std::sync::Barrier::new(8);
        let results: Vec<(Bundle, Made)> = std::thread::scope(|scope| {
            let run = || {
                start.wait();
                make(&dir, old).unwrap()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(run)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(results.iter().filter(|(_, made)| *made == Made::Now).count(), 1);
        assert!(results.iter().all(|(bundle, _)| *bundle == results[0].0));
        assert_eq!(existing(&dir).unwrap(), Some(results[0].0.clone()));
        let left: Vec<_> =
            std::fs::read_dir(folder.path().join("lab")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "no temporary file stays: {left:?}");
    }
}
