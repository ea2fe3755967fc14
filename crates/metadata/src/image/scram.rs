//! SCRAM credentials (KIP-900).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::records::{Bytes, MetadataRecord, UserScramCredentialRecord};

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    /// Salt.
    pub salt: Vec<u8>,
    /// Stored key.
    pub stored_key: Vec<u8>,
    /// Server key.
    pub server_key: Vec<u8>,
    /// Iterations of the hash.
    pub iterations: i32,
}

impl fmt::Debug for ScramCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys are as good as the password to whoever can talk to a broker: they stay out of logs.
        f.debug_struct("ScramCredential").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// Credentials by mechanism (1 SCRAM-SHA-256, 2 SCRAM-SHA-512) and user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScramImage {
    by_user: Arc<BTreeMap<(i8, String), ScramCredential>>,
}

impl ScramImage {
    /// The credential of a user.
    #[must_use]
    pub fn get(&self, mechanism: i8, user: &str) -> Option<&ScramCredential> {
        self.by_user.get(&(mechanism, user.to_owned()))
    }

    /// All credentials, ascending by mechanism and user.
    pub fn iter(&self) -> impl Iterator<Item = (i8, &str, &ScramCredential)> {
        self.by_user.iter().map(|((mechanism, user), credential)| (*mechanism, user.as_str(), credential))
    }

    pub(crate) fn set(&mut self, record: &UserScramCredentialRecord) {
        let credential = ScramCredential {
            salt: record.salt.0.clone(),
            stored_key: record.stored_key.0.clone(),
            server_key: record.server_key.0.clone(),
            iterations: record.iterations,
        };
        Arc::make_mut(&mut self.by_user).insert((record.mechanism, record.name.clone()), credential);
    }

    /// Removing what is not there changes nothing, as in Kafka.
    pub(crate) fn remove(&mut self, mechanism: i8, user: &str) {
        Arc::make_mut(&mut self.by_user).remove(&(mechanism, user.to_owned()));
    }

    pub(crate) fn write(&self, sink: &mut dyn FnMut(MetadataRecord)) {
        for (mechanism, user, credential) in self.iter() {
            let record = UserScramCredentialRecord {
                name: user.to_owned(),
                mechanism,
                salt: Bytes(credential.salt.clone()),
                stored_key: Bytes(credential.stored_key.clone()),
                server_key: Bytes(credential.server_key.clone()),
                iterations: credential.iterations,
            };
            sink(record.into());
        }
    }
}
