//! The secrets bundle and the talosconfig in the cluster's folder.

use cluster_pki::{Bundle, Random};
use machine_config::Contract;
use record::{Code, Exit, Failure};
use step::{ClusterDir, Made};
use talosconfig::{Context, Talosconfig};
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
    config: Talosconfig,
    name: String,
    /// Whether its credentials can stay.
    good: bool,
}

impl Access {
    /// Reads the file, and checks its credentials against the bundle and the time.
    pub(crate) fn read(dir: &ClusterDir, name: &str, bundle: &Bundle) -> Result<Self, Failure> {
        let bytes = dir.read(TALOSCONFIG)?;
        let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let config = text.and_then(|text| Talosconfig::parse(&text).ok()).unwrap_or_default();
        let until = OffsetDateTime::now_utc() + RENEW_BEFORE;
        let good = config.context(name).is_ok_and(|context| {
            bundle.has_signed(context) && context.not_after().is_ok_and(|not_after| not_after > until)
        });
        Ok(Self { config, name: name.to_owned(), good })
    }

    /// The endpoints that it has, if its credentials can stay.
    pub(crate) fn endpoints(&self) -> Option<&[String]> {
        let context = self.config.context(&self.name).ok().filter(|_| self.good)?;
        Some(&context.endpoints)
    }

    /// Whether nothing has to be written for these endpoints.
    pub(crate) fn is_settled(&self, endpoints: &[String]) -> bool {
        self.endpoints() == Some(endpoints)
    }

    /// Writes it with these endpoints, with new credentials only where the old ones can't stay.
    pub(crate) fn write(&mut self, dir: &ClusterDir, bundle: &Bundle, endpoints: &[String]) -> Result<(), Failure> {
        let kept = self.config.context(&self.name).ok().filter(|_| self.good).cloned();
        let context = match kept {
            Some(context) => Context { endpoints: endpoints.to_vec(), ..context },
            None => credentials(bundle, endpoints.to_vec())?,
        };
        self.config.set(&self.name, context);
        self.config.context.clone_from(&self.name);
        self.good = true;
        dir.write(TALOSCONFIG, self.config.emit(Contract::STABLE.dialect()).expose().as_bytes())?;
        Ok(())
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
