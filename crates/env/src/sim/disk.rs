//! A disk that forgets: names and contents as the processes see them, and as a power cut would leave them.
//!
//! ```text
//!   file:   synced content  + pending [write, write, set_len, write]  = current content
//!   names:  synced entries  + pending [link, rename, unlink]          = current entries
//!                                 │
//!                  sync moves pending into synced;  a power cut keeps some of pending, by the seed
//! ```
//!
//! At a power cut the seed decides first for the names (all pending changes lost, a prefix kept as an ordered journal
//! would, or each kept or lost for itself as POSIX allows), then for each file (all lost, all kept, or each change
//! kept, lost or torn). To lose an earlier change and keep a later one is what a device does that reorders. A torn write
//! leaves some of its sectors of 512 bytes or 4 KiB, or the length without the bytes. A rename is one change: the old
//! name and the new one change together or not at all. A file whose name was lost is gone, synced or not.

use std::collections::{BTreeMap, BTreeSet};

use super::faults::Faults;
use super::rng::Rng;

pub(super) type NodeId = u64;

/// The capacity of a disk that nothing fills, so that nobody need count what it holds.
const UNBOUNDED: u64 = 1 << 40;

/// The directory that all paths start from.
pub(super) const ROOT: NodeId = 0;

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) faults: Faults,
    pub(super) capacity: u64,
    /// Counts the events that end all open files.
    pub(super) generation: u64,
    /// The nodes that are locked.
    pub(super) locks: BTreeSet<NodeId>,
    nodes: BTreeMap<NodeId, Node>,
    next_node: NodeId,
    pending_names: Vec<NameChange>,
}

#[derive(Debug)]
pub(super) enum Node {
    File(FileNode),
    Dir(DirNode),
}

#[derive(Debug, Default)]
pub(super) struct FileNode {
    pub(super) current: Vec<u8>,
    pub(super) modified_ms: i64,
    synced: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Default)]
pub(super) struct DirNode {
    pub(super) current: BTreeMap<String, NodeId>,
    synced: BTreeMap<String, NodeId>,
}

#[derive(Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

/// A name: a directory and an entry of it.
type Name = (NodeId, String);

#[derive(Debug)]
struct NameChange {
    removed: Option<Name>,
    added: Option<(Name, NodeId)>,
    /// A sync that was left out would have kept it.
    is_owed: bool,
}

impl NameChange {
    fn names(&self) -> impl Iterator<Item = &Name> {
        self.removed.iter().chain(self.added.as_ref().map(|(name, _)| name))
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            faults: Faults::default(),
            capacity: UNBOUNDED,
            generation: 0,
            locks: BTreeSet::new(),
            nodes: BTreeMap::from([(ROOT, Node::Dir(DirNode::default()))]),
            next_node: ROOT + 1,
            pending_names: Vec::new(),
        }
    }
}

impl FileNode {
    pub(super) fn new(modified_ms: i64) -> Self {
        Self { modified_ms, ..Self::default() }
    }

    /// Writes into the current content; a gap before `offset` becomes zeros.
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.current, offset, bytes);
        self.pending.push(Change::Write { offset, bytes: bytes.to_vec() });
    }

    /// As [`Self::write`], for the next piece of what was written last: to the device it is one write.
    pub(super) fn write_on(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.current, offset, bytes);
        match self.pending.last_mut() {
            Some(Change::Write { offset: start, bytes: before }) if *start + before.len() == offset => {
                before.extend_from_slice(bytes);
            }
            _ => self.pending.push(Change::Write { offset, bytes: bytes.to_vec() }),
        }
    }

    /// One bit of `range` changes on the medium, and in the cache that is read from it.
    pub(super) fn rot(&mut self, range: std::ops::Range<usize>, rng: &mut Rng) {
        if range.is_empty() {
            return;
        }
        let (at, bit) = (range.start + rng.index(range.len()), 1 << rng.below(8));
        for content in [&mut self.current, &mut self.synced] {
            if let Some(byte) = content.get_mut(at) {
                *byte ^= bit;
            }
        }
    }

    /// Other bytes stand on the medium from `at` on, and in the cache that is read from it. The file gets no longer.
    pub(super) fn rot_to(&mut self, at: usize, bytes: &[u8]) {
        for content in [&mut self.current, &mut self.synced] {
            for (stored, byte) in content.iter_mut().skip(at).zip(bytes) {
                *stored = *byte;
            }
        }
    }

    pub(super) fn set_len(&mut self, len: usize) {
        self.current.resize(len, 0);
        self.pending.push(Change::Length(len));
    }

    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            change.apply(&mut self.synced);
        }
    }

    /// A sync that failed: each pending change has reached the disk or never will.
    pub(super) fn fail_sync(&mut self, rng: &mut Rng) {
        for change in std::mem::take(&mut self.pending) {
            if rng.coin() {
                change.apply(&mut self.synced);
            }
        }
    }

    fn power_cut(&mut self, rng: &mut Rng) {
        let fate = rng.below(4);
        for change in std::mem::take(&mut self.pending) {
            match fate {
                0 => {}
                1 => change.apply(&mut self.synced),
                _ => match rng.below(3) {
                    0 => {}
                    1 => change.apply(&mut self.synced),
                    _ => change.apply_torn(&mut self.synced, rng),
                },
            }
        }
        self.current.clone_from(&self.synced);
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => put(content, *offset, bytes),
            Self::Length(len) => content.resize(*len, 0),
        }
    }

    /// Applies some of the sectors that a write touches; a change of length is not torn.
    fn apply_torn(&self, content: &mut Vec<u8>, rng: &mut Rng) {
        let Self::Write { offset, bytes } = self else { return self.apply(content) };
        let sector = match rng.below(5) {
            0 | 1 => 512,
            2 | 3 => 4096,
            _ => {
                // The length is in the journal, the bytes are not on the device.
                content.resize(content.len().max(offset + bytes.len()), 0);
                return;
            }
        };
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done;
            let len = (sector - at % sector).min(bytes.len() - done);
            if rng.coin() {
                put(content, at, &bytes[done..done + len]);
            }
            done += len;
        }
    }
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

impl Disk {
    pub(super) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    pub(super) fn file(&mut self, id: NodeId) -> Option<&mut FileNode> {
        match self.nodes.get_mut(&id) {
            Some(Node::File(file)) => Some(file),
            _ => None,
        }
    }

    pub(super) fn dir(&self, id: NodeId) -> Option<&DirNode> {
        match self.nodes.get(&id) {
            Some(Node::Dir(dir)) => Some(dir),
            _ => None,
        }
    }

    /// How many more bytes of content fit.
    pub(super) fn free(&self) -> u64 {
        if self.capacity >= UNBOUNDED { self.capacity } else { self.capacity.saturating_sub(self.used()) }
    }

    /// Bytes of content that have a name.
    fn used(&self) -> u64 {
        self.reachable()
            .into_iter()
            .map(|id| match self.nodes.get(&id) {
                Some(Node::File(file)) => file.current.len() as u64,
                _ => 0,
            })
            .sum()
    }

    /// Gives a new, empty file or directory a name.
    pub(super) fn create(&mut self, dir: NodeId, name: &str, node: Node) -> NodeId {
        let id = self.next_node;
        self.next_node += 1;
        self.nodes.insert(id, node);
        self.change_name(NameChange { removed: None, added: Some(((dir, name.to_owned()), id)), is_owed: false });
        id
    }

    pub(super) fn unlink(&mut self, dir: NodeId, name: &str) {
        self.change_name(NameChange { removed: Some((dir, name.to_owned())), added: None, is_owed: false });
    }

    pub(super) fn rename(&mut self, from: Name, to: Name, node: NodeId) {
        self.change_name(NameChange { removed: Some(from), added: Some((to, node)), is_owed: false });
    }

    fn change_name(&mut self, change: NameChange) {
        apply_names(&mut self.nodes, &change, |dir| &mut dir.current);
        self.pending_names.push(change);
    }

    /// Makes all files and names durable. If it fails, of which `failed` has the dice, each change may be or not.
    pub(super) fn sync_everything(&mut self, mut failed: Option<&mut Rng>) {
        for node in self.nodes.values_mut() {
            match (node, &mut failed) {
                (Node::File(file), None) => file.sync(),
                (Node::File(file), Some(rng)) => file.fail_sync(rng),
                (Node::Dir(_), _) => {}
            }
        }
        let mut left = Vec::new();
        for change in std::mem::take(&mut self.pending_names) {
            if failed.as_mut().is_none_or(|rng| rng.coin()) {
                apply_names(&mut self.nodes, &change, |dir| &mut dir.synced);
            } else {
                left.push(change);
            }
        }
        self.pending_names = left;
    }

    /// Makes the names in `dir` durable, and whatever they depend on: earlier changes of the same names elsewhere.
    pub(super) fn sync_dir(&mut self, dir: NodeId) {
        let mut touched: BTreeSet<Name> = BTreeSet::new();
        let mut durable = Vec::new();
        for change in std::mem::take(&mut self.pending_names).into_iter().rev() {
            if change.names().any(|name| name.0 == dir || touched.contains(name)) {
                touched.extend(change.names().cloned());
                durable.push(change);
            } else {
                self.pending_names.push(change);
            }
        }
        self.pending_names.reverse();
        for change in durable.iter().rev() {
            apply_names(&mut self.nodes, change, |dir| &mut dir.synced);
        }
    }

    /// A sync of `dir` that is left out. What it would have kept is lost at the next power cut, as likely as not, whatever
    /// becomes of later changes.
    pub(super) fn leave_out_sync(&mut self, dir: NodeId) {
        let mut touched: BTreeSet<Name> = BTreeSet::new();
        for change in self.pending_names.iter_mut().rev() {
            if change.names().any(|name| name.0 == dir || touched.contains(name)) {
                touched.extend(change.names().cloned());
                change.is_owed = true;
            }
        }
    }

    /// The process is gone: its open files and locks are. What it wrote stays in the page cache.
    pub(super) fn forget_handles(&mut self) {
        self.generation += 1;
        self.locks.clear();
        self.faults.restart();
    }

    pub(super) fn power_cut(&mut self, rng: &mut Rng) {
        self.forget_handles();
        let fate = rng.below(3);
        let pending = std::mem::take(&mut self.pending_names);
        let prefix = rng.index(pending.len() + 1);
        let loses_owed = pending.iter().any(|change| change.is_owed) && rng.coin();
        for (position, change) in pending.iter().enumerate() {
            let kept = match fate {
                _ if loses_owed => !change.is_owed && rng.coin(),
                0 => false,
                1 => position < prefix,
                _ => rng.coin(),
            };
            if kept {
                apply_names(&mut self.nodes, change, |dir| &mut dir.synced);
            }
        }
        for node in self.nodes.values_mut() {
            match node {
                Node::File(file) => file.power_cut(rng),
                Node::Dir(dir) => dir.current.clone_from(&dir.synced),
            }
        }
        let reachable = self.reachable();
        self.nodes.retain(|id, _| reachable.contains(id));
    }

    fn reachable(&self) -> BTreeSet<NodeId> {
        let (mut found, mut open) = (BTreeSet::new(), vec![ROOT]);
        while let Some(id) = open.pop() {
            if found.insert(id)
                && let Some(dir) = self.dir(id)
            {
                open.extend(dir.current.values());
            }
        }
        found
    }
}

/// Applies one change to one of the two views of the directories. A node has one name: the new one replaces any other,
/// which a lost earlier change would leave behind.
fn apply_names(
    nodes: &mut BTreeMap<NodeId, Node>,
    change: &NameChange,
    view: impl Fn(&mut DirNode) -> &mut BTreeMap<String, NodeId>,
) {
    let mut entries = |dir: NodeId, act: &mut dyn FnMut(&mut BTreeMap<String, NodeId>)| {
        if let Some(Node::Dir(dir)) = nodes.get_mut(&dir) {
            act(view(dir));
        }
    };
    if let Some((dir, name)) = &change.removed {
        entries(*dir, &mut |names| {
            // After a lost rename the name may stand for another node: that one's is not to be removed by this.
            if change.added.as_ref().is_none_or(|(_, node)| names.get(name) == Some(node)) {
                names.remove(name);
            }
        });
    }
    if let Some(((dir, name), node)) = &change.added {
        entries(*dir, &mut |names| {
            names.retain(|_, other| other != node);
            names.insert(name.clone(), *node);
        });
    }
}
