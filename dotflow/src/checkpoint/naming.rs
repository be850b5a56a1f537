//! How the keys of the tasks of a workflow are made: of their names, made different where names
//! repeat, and where the version of an action, or of one that it depends on, is not the first.

use std::{collections::HashMap, fmt::Write as _};

use serde::Serialize;

use super::{
    keys::{Key, Keys},
    seal::digest,
    tasks::Tasks,
};

impl Keys {
    /// The keys of all tasks of a plan, which are made once: any number of runs share it.
    pub(super) fn of(plan: &dyn Tasks) -> &Self {
        plan.keys().get_or_init(|| Self::new(plan))
    }

    /// The keys of all tasks of a plan, in which each task stands after those it depends on.
    fn new(plan: &dyn Tasks) -> Self {
        let mut namesakes: HashMap<&str, u32> = HashMap::new();
        for task in 0..plan.count() {
            *namesakes.entry(plan.name(task)).or_default() += 1;
        }
        let mut occurrences: HashMap<&str, u32> = HashMap::new();
        let mut keys: Vec<Key> = Vec::new();
        let mut has_versions = false;
        for task in 0..plan.count() {
            let (name, version) = (plan.name(task), plan.version(task));
            let occurrence = occurrences.entry(name).or_default();
            *occurrence += 1;
            let occurrence = *occurrence;
            let mut text = escaped(name);
            if occurrence > 1 {
                let _ = write!(text, "#{occurrence}");
            }
            let mut is_versioned = version != 1;
            if is_versioned {
                let _ = write!(text, "@{version}");
            }
            // Another version before it is other work for it as well.
            if has_versions {
                let after = plan.after(task).into_iter();
                let after: Vec<&Key> = after.map(|before| &keys[before as usize]).collect();
                if after.iter().any(|before| before.is_versioned) {
                    let after: Vec<&str> = after.iter().map(|before| &*before.origin).collect();
                    let separator = if is_versioned { "." } else { "@1." };
                    let _ = write!(text, "{separator}{}", short_digest(&after));
                    is_versioned = true;
                }
            }
            let mut origin = text.clone();
            let nested = plan.nested(task);
            let shape = nested.map(|nested| {
                let keys = Self::of(nested);
                let sinks = nested.sinks().iter();
                // A workflow may return its input too, which is no task.
                let mut sinks = sinks.filter_map(|sink| keys.keys.get(*sink as usize));
                is_versioned |= sinks.any(|sink| sink.is_versioned);
                keys.shape(nested)
            });
            if nested.is_some() || !plan.is_stored(task) {
                let after = plan.after(task).into_iter();
                let after: Vec<&str> = after.map(|before| &*keys[before as usize].origin).collect();
                if shape.is_some() || !after.is_empty() {
                    let _ = write!(origin, "/{}", short_digest(&(shape, after)));
                }
            }
            has_versions |= is_versioned;
            keys.push(Key {
                text: text.into(),
                origin: origin.into(),
                namesakes: namesakes[name],
                occurrence,
                is_versioned,
            });
        }
        Self { keys: keys.into() }
    }

    /// The name of a task and what makes it unique among those of its name, whatever its version:
    /// `load#2[7]`.
    pub(crate) fn name(plan: &dyn Tasks, task: u32, item: Option<u32>) -> String {
        let mut text = escaped(plan.name(task));
        let occurrence = Self::of(plan).keys[task as usize].occurrence;
        if occurrence > 1 {
            let _ = write!(text, "#{occurrence}");
        }
        if let Some(item) = item {
            let _ = write!(text, "[{item}]");
        }
        text
    }

    /// What the tasks of a workflow are and how they follow each other, in few characters, with what has
    /// become known only while it ran.
    pub(super) fn shape_of(plan: &dyn Tasks, grown: Option<String>) -> String {
        let shape = Self::of(plan).shape(plan);
        match grown {
            None => shape,
            Some(grown) => short_digest(&(shape, grown)),
        }
    }

    /// What the tasks of this workflow are and how they follow each other, in few characters.
    fn shape(&self, plan: &dyn Tasks) -> String {
        let origin = |task: u32| &*self.keys[task as usize].origin;
        let tasks = (0..plan.count()).map(|task| {
            let after = plan.after(task).into_iter().map(origin);
            (origin(task), after.collect::<Vec<&str>>())
        });
        let tasks: Vec<_> = tasks.collect();
        short_digest(&(plan.workflow(), tasks, plan.sinks()))
    }
}

pub(super) fn short_digest(value: &impl Serialize) -> String {
    let mut text = digest(value);
    text.truncate(16);
    text
}

/// A task may be called `load#2`. Its key must not be that of the second `load`.
pub(super) fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    for character in name.chars() {
        match character {
            '%' => text.push_str("%25"),
            '#' => text.push_str("%23"),
            '@' => text.push_str("%40"),
            '~' => text.push_str("%7e"),
            '[' => text.push_str("%5b"),
            '/' => text.push_str("%2f"),
            _ => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;

    /// Tasks by name, version and what they come after.
    struct List<'test> {
        tasks: Vec<(&'test str, u32, &'test [u32])>,
        keys: OnceLock<Keys>,
        /// How often it was asked for a name.
        asked: AtomicU32,
    }

    impl<'test> List<'test> {
        fn new(tasks: impl Into<Vec<(&'test str, u32, &'test [u32])>>) -> Self {
            Self {
                tasks: tasks.into(),
                keys: OnceLock::new(),
                asked: AtomicU32::new(0),
            }
        }
    }

    impl Tasks for List<'_> {
        fn workflow(&self) -> &'static str {
            "w"
        }

        fn count(&self) -> u32 {
            u32::try_from(self.tasks.len()).unwrap()
        }

        fn name(&self, task: u32) -> &str {
            self.asked.fetch_add(1, Ordering::Relaxed);
            self.tasks[task as usize].0
        }

        fn version(&self, task: u32) -> u32 {
            self.tasks[task as usize].1
        }

        fn after(&self, task: u32) -> Vec<u32> {
            self.tasks[task as usize].2.to_vec()
        }

        fn is_stored(&self, _task: u32) -> bool {
            true
        }

        fn nested(&self, _task: u32) -> Option<&dyn Tasks> {
            None
        }

        fn sinks(&self) -> &[u32] {
            &[]
        }

        fn keys(&self) -> &OnceLock<Keys> {
            &self.keys
        }
    }

    #[test]
    fn keys_are_made_once() {
        let plan = List::new([("one", 1, [].as_slice()), ("two", 1, &[0])]);
        let text = Keys::of(&plan).text("", 1, None);
        let asked = plan.asked.load(Ordering::Relaxed);
        assert_eq!((&*text, asked), ("two", 4));
        assert_eq!(Keys::of(&plan).text("", 1, None), text);
        assert_eq!(plan.asked.load(Ordering::Relaxed), asked);
    }

    #[test]
    fn no_two_tasks_have_one_key() {
        let names = [
            "load", "load", "load#2", "load[0]", "a/b", "%23", "", "", "load", "load@2", "a~4f0c",
        ];
        let plan = List::new(names.map(|name| (name, 1, [].as_slice())));
        let keys = Keys::of(&plan);
        let texts: Vec<String> = (0..11).map(|task| keys.text("", task, None)).collect();
        assert_eq!(
            texts,
            [
                "load",
                "load#2",
                "load%232",
                "load%5b0]",
                "a%2fb",
                "%2523",
                "",
                "#2",
                "load#3",
                "load%402",
                "a%7e4f0c"
            ]
        );
        assert_eq!(keys.text("outer[3]/", 1, Some(7)), "outer[3]/load#2[7]");
        assert_eq!((keys.namesakes(0), keys.namesakes(2)), (3, 1));
    }

    #[test]
    fn another_version_changes_its_key_and_those_after_it() {
        let keys = |version| {
            let plan = List::new([
                ("extract", 1, [].as_slice()),
                ("transform", version, &[0]),
                ("load", 1, &[1]),
                ("report", 3, &[2, 0]),
                ("other", 1, &[0]),
            ]);
            let keys = Keys::of(&plan);
            (0..5)
                .map(|task| keys.text("", task, None))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            keys(1),
            ["extract", "transform", "load", "report@3", "other"]
        );
        let (second, third) = (keys(2), keys(3));
        assert_eq!(
            (&*second[0], &*second[1], &*second[4]),
            ("extract", "transform@2", "other")
        );
        assert!(second[2].starts_with("load@1."), "{second:?}");
        assert!(second[3].starts_with("report@3."), "{second:?}");
        for changed in 1..4 {
            assert_ne!(second[changed], third[changed]);
        }
    }
}
