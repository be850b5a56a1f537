//! A program to be killed: a workflow over a file storage whose tasks log what they do.
//!
//! `victim <folder> <log> <workflow id> <items> <durable>` resumes the run and prints its output.
//! Each call of a task makes a number that no other call makes. It appends it to the log, along
//! with its key, as its side effect, and returns it as a part of its output: so it can be told
//! which call a checkpoint comes from. With `durable` as `true`, log and checkpoints are forced to
//! the disk. With `VICTIM_WITHOUT_LOCK` in its environment, the storage can't tell whether another
//! program runs the same id.

use std::{
    fs::OpenOptions,
    io::Write as _,
    process::ExitCode,
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use dotflow::{
    DotFlow, PreviousContext, TaskContext, action,
    storage::{FileStorage, Storage, StorageFuture},
    task,
};

struct Log {
    path: String,
    durable: bool,
}

static LOG: OnceLock<Log> = OnceLock::new();

/// The side effect: from here on the task counts as done in the eyes of the world. Gives the number
/// of this call.
fn effect(key: &str) -> u64 {
    let number = unique();
    let log = LOG.get().expect("the log is known before the run begins");
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&log.path)
        .expect("the log can be opened");
    // In one call, so that no kill comes between its parts.
    file.write_all(format!("{key} {number}\n").as_bytes())
        .expect("the log can be written");
    if log.durable {
        file.sync_data().expect("the log can be synced");
    }
    number
}

/// A number of this call alone, small enough that sums stay exact: the time, which moves on before
/// the calls of a program repeat, the program and the call.
fn unique() -> u64 {
    static CALLS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let call = CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let micros = u64::try_from(now.unwrap_or(Duration::ZERO).as_micros()).unwrap_or(u64::MAX);
    let program = u64::from(std::process::id());
    (micros & 0xff_ffff) << 24 | (program & 0xfff) << 12 | call & 0xfff
}

#[action]
fn seed(items: u64) -> Vec<u64> {
    let number = effect("seed");
    (0..items).map(|item| number.wrapping_add(item)).collect()
}

#[action]
fn work(item: PreviousContext<u64>, task: TaskContext) -> (u64, u64) {
    let index = task.item().expect("`work` runs once per item");
    (*item, effect(&format!("work[{index}]")))
}

#[action]
fn sum(parts: PreviousContext<Vec<(u64, u64)>>) -> (u64, u64) {
    let number = effect("sum");
    let parts = parts.iter().map(|(item, made)| item.wrapping_add(*made));
    (parts.fold(0, u64::wrapping_add), number)
}

#[action]
async fn step(before: PreviousContext<(u64, u64)>, name: String) -> (u64, u64) {
    (before.0.wrapping_add(before.1), effect(&name))
}

/// A storage that can't tell whether an id is being run.
struct WithoutLock(FileStorage);

impl Storage for WithoutLock {
    fn get<'a>(&'a self, workflow_id: &'a str, key: &'a str) -> StorageFuture<'a, Option<String>> {
        self.0.get(workflow_id, key)
    }

    fn put_new<'a>(
        &'a self,
        workflow_id: &'a str,
        key: &'a str,
        checkpoint: String,
    ) -> StorageFuture<'a, bool> {
        self.0.put_new(workflow_id, key, checkpoint)
    }

    fn remove_all<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, ()> {
        self.0.remove_all(workflow_id)
    }

    fn list<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, Vec<String>> {
        self.0.list(workflow_id)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, log, id, items, durable] = &arguments[..] else {
        return ExitCode::from(2);
    };
    let durable = durable == "true";
    let _ = LOG.set(Log {
        path: log.clone(),
        durable,
    });
    let storage = FileStorage::open(folder).expect("the folder can be opened");
    let seeds = task(seed(items.parse().expect("a number of items")));
    // The keys of these two are `step` and `step#2`.
    let first = seeds.each(work()).then(sum()).then(step("step".into()));
    let second = first.then(step("step#2".into()));
    let workflow = DotFlow::new("victim", second).concurrency(8);
    let storage = storage.sync(durable);
    let workflow = if std::env::var_os("VICTIM_WITHOUT_LOCK").is_some() {
        workflow.storage(WithoutLock(storage))
    } else {
        workflow.storage(storage)
    };
    let run = match workflow.resume_blocking(id) {
        Ok(run) => run,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            return ExitCode::from(3);
        }
    };
    let Ok(output) = run.output() else {
        let _ = writeln!(std::io::stderr(), "{run}");
        return ExitCode::FAILURE;
    };
    let restored = run.tasks().iter().filter(|task| task.restored()).count();
    let _ = writeln!(std::io::stdout(), "{} {} {restored}", output.0, output.1);
    ExitCode::SUCCESS
}
