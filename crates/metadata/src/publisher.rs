//! [`MetadataPublisher`]: whoever follows the metadata.

use std::sync::Arc;

use crate::delta::MetadataDelta;
use crate::image::MetadataImage;

/// Follows the metadata of a node: the replica manager, the group coordinators, the configurations.
///
/// Publishers are called one after another, in the order in which they were added, on the task that loads the metadata; the
/// quorum does not wait for it, but who asked the controller for a change is answered after it. They MUST NOT wait for the
/// network or for another publisher.
pub trait MetadataPublisher: Send + Sync {
    /// A name for logs.
    fn name(&self) -> &str;

    /// The image changed: `delta` leads from the last one this publisher saw to `image`. The first call leads from the
    /// empty image, whatever was published before.
    fn publish(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>);
}
