//! The contract of [`Storage`], as a test that serves every implementation.

mod hostile;

use std::{collections::BTreeSet, error::Error, fmt};

use futures_util::future::join_all;
use serde_json::json;
use uuid::Uuid;

use self::hostile::hostile;
use super::{Storage, StorageError};

/// Tests a storage against the contract of [`Storage`]: for the tests of an implementation.
///
/// It works under ids that no real run has, at the same time as real runs if need be, and removes
/// everything it has stored, unless it fails.
///
/// ```
/// use dotflow::storage::{check, MemoryStorage};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// check(&MemoryStorage::new()).await?;
/// # Ok::<(), dotflow::storage::ContractError>(()) }).unwrap();
/// ```
///
/// # Errors
///
/// The first promise that the storage did not keep.
pub async fn check(storage: &dyn Storage) -> Result<(), ContractError> {
    let check = Check {
        storage,
        prefix: format!("dotflow-contract-{}", Uuid::now_v7()),
    };
    check.an_empty_workflow().await?;
    check.the_first_writer_wins().await?;
    check.concurrent_writers_agree().await?;
    check.any_string_is_a_name().await?;
    check.contents_come_back_unchanged().await?;
    check.many_keys().await?;
    check.removing_one_workflow_leaves_the_others().await
}

/// Which promise a storage did not keep, from [`check`].
#[derive(Debug)]
pub struct ContractError {
    promise: &'static str,
    what: String,
    cause: Option<StorageError>,
}

impl fmt::Display for ContractError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the storage breaks its contract ({}): {}",
            self.promise, self.what
        )?;
        match &self.cause {
            Some(cause) => write!(formatter, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl Error for ContractError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref()?.source()
    }
}

struct Check<'storage> {
    storage: &'storage dyn Storage,
    prefix: String,
}

impl Check<'_> {
    fn id(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    async fn an_empty_workflow(&self) -> Result<(), ContractError> {
        let expect = Expect("a workflow that was never stored is empty");
        let id = self.id("empty");
        let nothing = expect.done(self.storage.get(&id, "a").await, "get")?;
        expect.equal(&nothing, &None, "what is stored under a key")?;
        let keys = expect.done(self.storage.list(&id).await, "list")?;
        expect.equal(&keys, &Vec::new(), "its keys")?;
        expect.done(self.storage.remove_all(&id).await, "remove_all")
    }

    async fn the_first_writer_wins(&self) -> Result<(), ContractError> {
        let expect = Expect("the first writer wins");
        let id = self.id("first");
        let (first, second) = (text(&id, "a", "first"), text(&id, "a", "second"));
        let put = self.storage.put_new(&id, "a", first.clone()).await;
        expect.equal(&expect.done(put, "put_new")?, &true, "the first put_new")?;
        for again in [second, first.clone()] {
            let put = self.storage.put_new(&id, "a", again).await;
            let put = expect.done(put, "put_new")?;
            expect.equal(&put, &false, "a further put_new")?;
        }
        let stored = expect.done(self.storage.get(&id, "a").await, "get")?;
        expect.equal(&stored, &Some(first), "what is stored")?;
        expect.done(self.storage.remove_all(&id).await, "remove_all")
    }

    async fn concurrent_writers_agree(&self) -> Result<(), ContractError> {
        let expect = Expect("of several writers at once, one wins and all read what it stored");
        let id = self.id("race");
        let writers = (0..16).map(|writer| {
            let (id, own) = (&id, text(&id, "a", &format!("writer {writer}")));
            async move {
                let won = self.storage.put_new(id, "a", own.clone()).await?;
                let read = self.storage.get(id, "a").await?;
                Ok((won.then_some(own), read))
            }
        });
        let mut winners = Vec::new();
        let mut read = BTreeSet::new();
        for writer in join_all(writers).await {
            let (won, seen) = expect.done(writer, "put_new and get")?;
            winners.extend(won);
            read.insert(seen);
        }
        expect.equal(&winners.len(), &1, "the number of winners")?;
        let winner = BTreeSet::from([winners.pop()]);
        expect.equal(&read, &winner, "what the writers read afterwards")?;
        expect.done(self.storage.remove_all(&id).await, "remove_all")
    }

    async fn any_string_is_a_name(&self) -> Result<(), ContractError> {
        let expect = Expect("any string is a key and an id, and none is taken for another");
        let id = self.id("keys");
        let texts = hostile();
        for key in &texts {
            let put = self.storage.put_new(&id, key, text(&id, key, key)).await;
            let put = expect.done(put, &format!("put_new of the key {}", shown(key)))?;
            expect.equal(
                &put,
                &true,
                &format!("put_new of the new key {}", shown(key)),
            )?;
        }
        for key in &texts {
            let stored = expect.done(self.storage.get(&id, key).await, "get")?;
            let what = format!("what is stored under the key {}", shown(key));
            expect.equal(&stored, &Some(text(&id, key, key)), &what)?;
        }
        let listed = expect.done(self.storage.list(&id).await, "list")?;
        let listed: BTreeSet<String> = listed.into_iter().collect();
        let all: BTreeSet<String> = texts.iter().cloned().collect();
        expect.equal(&listed, &all, "the listed keys")?;
        expect.done(self.storage.remove_all(&id).await, "remove_all")?;

        let ids: Vec<String> = texts.iter().map(|text| self.id(text)).collect();
        for id in &ids {
            let put = self.storage.put_new(id, "a", text(id, "a", id)).await;
            let put = expect.done(put, &format!("put_new for the id {}", shown(id)))?;
            expect.equal(
                &put,
                &true,
                &format!("put_new for the new id {}", shown(id)),
            )?;
        }
        for id in &ids {
            let keys = expect.done(self.storage.list(id).await, "list")?;
            expect.equal(&keys, &vec!["a".to_owned()], "the keys of one of the ids")?;
            expect.done(self.storage.remove_all(id).await, "remove_all")?;
            let keys = expect.done(self.storage.list(id).await, "list")?;
            expect.equal(&keys, &Vec::new(), "the keys of an id after remove_all")?;
        }
        Ok(())
    }

    async fn contents_come_back_unchanged(&self) -> Result<(), ContractError> {
        let expect = Expect("a checkpoint comes back as it was stored");
        let id = self.id("contents");
        for (key, output) in [
            ("empty", String::new()),
            ("lines", "a\nb\r\nc\n".to_owned()),
            ("unicode", "日本 👩‍👩‍👧 \u{feff}\u{0}\u{7f}".to_owned()),
            ("large", "0123456789abcdef".repeat(0x1_0000)),
        ] {
            let stored = text(&id, key, &output);
            let put = self.storage.put_new(&id, key, stored.clone()).await;
            expect.done(put, "put_new")?;
            let read = expect.done(self.storage.get(&id, key).await, "get")?;
            if read.as_ref() != Some(&stored) {
                return Err(
                    expect.broken(format!("the checkpoint under `{key}` came back changed"))
                );
            }
        }
        expect.done(self.storage.remove_all(&id).await, "remove_all")
    }

    async fn many_keys(&self) -> Result<(), ContractError> {
        let expect = Expect("a list names all keys, however many");
        let id = self.id("many");
        let keys: BTreeSet<String> = (0..1_200).map(|key| format!("load[{key}]")).collect();
        let puts = keys.iter().map(|key| {
            let checkpoint = text(&id, key, "");
            self.storage.put_new(&id, key, checkpoint)
        });
        for put in join_all(puts).await {
            expect.done(put, "put_new")?;
        }
        let listed = expect.done(self.storage.list(&id).await, "list")?;
        let listed: BTreeSet<String> = listed.into_iter().collect();
        expect.equal(&listed.len(), &keys.len(), "the number of listed keys")?;
        expect.equal(&listed, &keys, "the listed keys")?;
        expect.done(self.storage.remove_all(&id).await, "remove_all")
    }

    async fn removing_one_workflow_leaves_the_others(&self) -> Result<(), ContractError> {
        let expect = Expect("remove_all removes one workflow whole, and no other");
        // Each is a prefix of the next one.
        let ids = ["", "/a", "/a/b", "/a/b/c"].map(|end| self.id(end));
        for id in &ids {
            let put = self.storage.put_new(id, "a", text(id, "a", "old")).await;
            expect.done(put, "put_new")?;
        }
        expect.done(self.storage.remove_all(&ids[1]).await, "remove_all")?;
        for (index, id) in ids.iter().enumerate() {
            let stored = expect.done(self.storage.get(id, "a").await, "get")?;
            let expected = (index != 1).then(|| text(id, "a", "old"));
            expect.equal(&stored, &expected, "what is stored afterwards")?;
        }
        let put = self
            .storage
            .put_new(&ids[1], "a", text(&ids[1], "a", "new"));
        let put = expect.done(put.await, "put_new")?;
        expect.equal(&put, &true, "put_new after remove_all")?;
        for id in &ids {
            expect.done(self.storage.remove_all(id).await, "remove_all")?;
        }
        Ok(())
    }
}

/// A checkpoint as dotflow stores them: an object that names its id and its key.
fn text(workflow_id: &str, key: &str, output: &str) -> String {
    json!({ "workflow_id": workflow_id, "key": key, "output": output }).to_string()
}

fn shown(text: &str) -> String {
    if text.len() <= 200 {
        return format!("{text:?}");
    }
    let begin: String = text.chars().take(20).collect();
    format!("{begin:?}… ({} bytes)", text.len())
}

/// A promise, and how its breach is told.
struct Expect(&'static str);

impl Expect {
    fn broken(&self, what: String) -> ContractError {
        ContractError {
            promise: self.0,
            what,
            cause: None,
        }
    }

    fn done<T>(&self, result: Result<T, StorageError>, what: &str) -> Result<T, ContractError> {
        result.map_err(|cause| ContractError {
            cause: Some(cause),
            ..self.broken(format!("{what} failed"))
        })
    }

    fn equal<T: PartialEq + fmt::Debug>(
        &self,
        found: &T,
        expected: &T,
        what: &str,
    ) -> Result<(), ContractError> {
        if found == expected {
            return Ok(());
        }
        let (found, expected) = (format!("{found:?}"), format!("{expected:?}"));
        let (found, expected) = (shown_debug(&found), shown_debug(&expected));
        Err(self.broken(format!("{what} is {found}, not {expected}")))
    }
}

fn shown_debug(text: &str) -> String {
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
