//! Signed copies of packages. Signing is deterministic, so the copy is a function of package, key and time, and the
//! store remembers it.

use keel_artefact::{Epoch, Fingerprint, Sha256};
use keel_rpm::sign::{Key, sign_package};
use keel_store::Store;
use serde::{Deserialize, Serialize};

use crate::Error;

const ACTION: &str = "signed-package";

/// What the store remembers.
#[derive(Serialize, Deserialize)]
struct SignedCopy {
    rpm: Sha256,
}

/// The digest of the object that is `package`, signed by `key` as of `time`.
pub(crate) fn signed(store: &Store, package: &Sha256, key: &Key, time: Epoch) -> Result<Sha256, Error> {
    let action = Fingerprint::new("signed-package/1")
        .add_digest("package", package)
        .add("key", key.fingerprint().as_str())
        .add("time", time.0.to_le_bytes())
        .finish();
    if let Some(SignedCopy { rpm }) = store.action(ACTION, &action)?
        && store.contains(&rpm)
    {
        return Ok(rpm);
    }
    let dir = store.temp_dir("sign")?;
    let copy = dir.path().join("signed.rpm");
    store.verify(package)?;
    sign_package(&store.object(package)?, &copy, key, time)?;
    let (rpm, _) = store.adopt(&copy)?;
    store.record(ACTION, &action, &SignedCopy { rpm })?;
    Ok(rpm)
}
