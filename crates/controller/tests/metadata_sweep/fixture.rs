//! A metadata directory with a history, in the states in which a process may have left it.
//!
//! ```text
//!   process 1   topics, several snapshots                              stopped: the older copies are from here
//!   process 2   a snapshot more, topics behind it, some of them noted  KILLED here, or stopped: CLEAN, and UNNOTED, as by Kafka
//!   process 3   topics, several at once, with snapshots or without     the power goes amid them: POWERLESS
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ottla_controller::format::QuorumKind;
use ottla_env::sim::{Host, host};
use ottla_env::task::Runtime;
use ottla_env::{fs, time};
use parking_lot::Mutex;

use super::Random;
use super::files::{self, Files};
use super::life::{self, Setting};
use super::model::{Model, NOTES};
use crate::support::{Node, format_dir, standalone};

/// From topic to topic, where one is made after the other.
const PACE: Duration = Duration::from_millis(40);

/// How the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Clean,
    Killed,
    Powerless,
    Unnoted,
}

/// A directory as a process left it.
pub(crate) struct Image {
    pub(crate) how: How,
    pub(crate) files: Files,
    pub(crate) model: Model,
}

pub(crate) struct Fixture {
    pub(crate) host: Host,
    pub(crate) root: PathBuf,
    pub(crate) is_dynamic: bool,
    pub(crate) images: Vec<Image>,
    /// Files as they were earlier.
    pub(crate) older: Files,
}

/// Runs a process on the host to its end. `Err`: it panicked.
pub(crate) fn run<T: Send + 'static>(
    host: &Host,
    process: impl Future<Output = T> + Send + 'static,
) -> Result<T, String> {
    let ended = Runtime::new(1).expect("a runtime").block_on(host.spawn("process", process));
    host.kill();
    ended.map_err(|error| error.to_string())
}

pub(crate) fn make(random: &mut Random) -> Fixture {
    let (host, is_dynamic) = (host("node"), random.below(2) == 0);
    let root = host.enter(|| {
        let kind = if is_dynamic { standalone() } else { QuorumKind::Static };
        let root = format_dir(Path::new("/"), kind);
        fs::sync_dir("/").expect("synced");
        root
    });
    let (counts, pause_ms) = ([4, 2, 3, 2].map(|n| n + random.below(4)), random.below(2_500) as u64);
    let with = |snapshot_after_bytes| (root.clone(), Setting { is_dynamic, snapshot_after_bytes });

    let (dir, setting) = with(700);
    let first = async move {
        let (node, _) = life::start(&dir, setting).await.expect("starts");
        node.register_broker(-1).await;
        topics(&node, "first", counts[0]).await;
        node.controller.stop().await.expect("stops");
    };
    run(&host, first).expect("a life");
    let older = host.enter(|| files::take(&root));

    let (dir, setting) = with(1_200);
    let second = async move {
        let (node, _) = life::start(&dir, setting).await.expect("starts again");
        node.register_broker(-1).await;
        topics(&node, "second", counts[1]).await;
        time::sleep(Duration::from_millis(pause_ms)).await;
        topics(&node, "third", counts[2]).await;
        let killed = files::take(&dir);
        node.controller.stop().await.expect("stops");
        killed
    };
    let killed = run(&host, second).expect("a life");
    let clean = host.enter(|| files::take(&root));

    let (dir, setting) = with(*random.one_of(&[900, u64::MAX]));
    let made = Arc::new(Mutex::new(None));
    let third = third_life(dir, setting, counts[3], Arc::clone(&made));
    let amid = cut_amid(&host, third, &made, random);
    let powerless = host.enter(|| files::take(&root));
    let mut unnoted = clean.clone();
    unnoted.remove(NOTES).expect("noted");
    let images =
        [(How::Killed, killed), (How::Clean, clean), (How::Powerless, powerless), (How::Unnoted, unnoted)].map(image);
    // What was answered is there, whatever became of the process.
    let answered = ["first", "second", "third"].iter().zip(counts);
    let answered: Vec<_> = answered.flat_map(|(name, count)| (0..count).map(move |n| format!("{name}-{n}"))).collect();
    images.iter().for_each(|image| image.holds(&answered));
    images.iter().filter(|image| image.how == How::Powerless).for_each(|image| image.holds(&amid));
    Fixture { host, root, is_dynamic, images: images.into(), older }
}

fn image((how, files): (How, Files)) -> Image {
    Image { how, model: Model::of(&files), files }
}

impl Image {
    fn holds(&self, topics: &[String]) {
        for topic in topics {
            let is_known = self.model.last().iter().any(|record| record.contains(&format!("\"{topic}\"")));
            assert!(is_known, "{:?}: {topic} was answered, and is gone", self.how);
        }
    }
}

/// Topics that were answered; None until the life is at the point where the power may go.
type Made = Arc<Mutex<Option<Vec<String>>>>;

async fn third_life(dir: PathBuf, setting: Setting, count: usize, made: Made) {
    let (node, _) = life::start(&dir, setting).await.expect("starts a third time");
    node.register_broker(-1).await;
    topics(&node, "fourth", count).await;
    time::sleep(Duration::from_millis(1_200)).await;
    *made.lock() = Some(Vec::new());
    let endless = |stream: usize| {
        let (node, made) = (&node, Arc::clone(&made));
        async move {
            for n in 0.. {
                let name = format!("amid-{stream}-{n}");
                assert_eq!(node.create_topic(&name, 1, &[]).await, 0);
                made.lock().as_mut().expect("begun").push(name);
            }
        }
    };
    tokio::join!(endless(0), endless(1), endless(2));
}

/// Runs a process, and cuts its power while it makes topics, or now and then while it starts. Gives those that were answered.
fn cut_amid(
    host: &Host,
    process: impl Future<Output = ()> + Send + 'static,
    made: &Made,
    random: &mut Random,
) -> Vec<String> {
    let running = host.spawn("process", process);
    let is_early = random.below(4) == 0;
    let amid = async {
        while made.lock().is_none() && !is_early {
            assert!(!running.is_finished(), "the process ended early");
            time::sleep(Duration::from_millis(5)).await;
        }
        time::sleep(Duration::from_micros(random.below(2_000) as u64)).await;
    };
    Runtime::new(1).expect("a runtime").block_on(amid);
    host.power_cut();
    made.lock().take().unwrap_or_default()
}

/// Makes topics of some partitions, with settings.
async fn topics(node: &Node, name: &str, count: usize) {
    for n in 0..count {
        let retention_ms = format!("{}", 1_000 + n);
        let configs = [("retention.ms", retention_ms.as_str()), ("segment.bytes", "2000000")];
        let code = node.create_topic(&format!("{name}-{n}"), 1 + n as i32 % 3, &configs[..n % 3]).await;
        assert_eq!(code, 0, "{name}-{n}");
        time::sleep(PACE).await;
    }
}
