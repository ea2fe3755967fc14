//! Sentences with which a property is refused whose absence would weaken security, durability or placement.

/// TLS.
pub(crate) const TLS: &str = "TLS is not served yet: only PLAINTEXT listeners are; remove the property, and keep the \
                              listeners on a network that you trust";
/// SASL.
pub(crate) const SASL: &str = "SASL is not served yet: clients are not authenticated; remove the property, and keep the \
                               listeners on a network that you trust";
/// What has no effect yet, on a broker that runs.
pub(crate) const UNSERVED: &str = "it is not served yet, and to keep it would have no effect; leave it out";
/// Throttles of replication.
pub(crate) const THROTTLE: &str =
    "nothing is replicated between brokers yet, so there is nothing to throttle; leave it out";
/// The authorizer.
pub(crate) const AUTHORIZER: &str = "authorization is not served yet: everybody may do everything; remove the property to \
                                     accept that";
/// Delegation tokens.
pub(crate) const TOKENS: &str = "delegation tokens are not served yet; remove the property";
/// Java classes.
pub(crate) const PLUGIN: &str = "Ottla cannot load a Java class; remove the property to run without it";
/// Policies.
pub(crate) const POLICY: &str = "Ottla cannot load a Java class, so the policy would not be enforced; remove the property \
                                 to run without it";
/// Config providers.
pub(crate) const PROVIDERS: &str = "config providers are not served, so `${…}` would be taken literally; write the values \
                                    out, or give them as environment variables";
/// Remote storage.
pub(crate) const REMOTE: &str =
    "remote storage is not served yet: everything stays on local disks; remove the property";
/// Joining a quorum.
pub(crate) const JOIN: &str = "a controller cannot join another quorum yet; remove the property";
