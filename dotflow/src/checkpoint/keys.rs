//! The keys that the outputs of a workflow's tasks are stored under.

/// The keys of all tasks, by number.
pub(crate) struct Keys {
    pub(super) keys: Box<[Key]>,
}

pub(super) struct Key {
    /// The name and what makes it unique: `load`, `load#2`, `load@2`.
    pub(super) text: Box<str>,
    /// What those after it know it by: its key; and where nothing is stored under that, what its
    /// output depends on as well, which nobody looks at otherwise: the tasks before it, and for a
    /// nested workflow those within.
    pub(super) origin: Box<str>,
    /// How many tasks have this name.
    pub(super) namesakes: u32,
    /// Which of them it is, from 1.
    pub(super) occurrence: u32,
    /// Whether its output depends on an action whose version is not the first.
    pub(super) is_versioned: bool,
}

impl Keys {
    /// What those after a task know it by.
    pub(super) fn origin(&self, task: u32) -> &str {
        &self.keys[task as usize].origin
    }

    /// The key of a task or an item: `load`, `load#2` for the second task of that name, `load@2`
    /// for the second version of its action, `load[7]` for an item, `inner/load` within a nested
    /// workflow. What comes after a task whose key has a version has one too, as `report@1.…`.
    pub(super) fn text(&self, prefix: &str, task: u32, item: Option<u32>) -> String {
        let key = &self.keys[task as usize];
        match item {
            None => format!("{prefix}{}", key.text),
            Some(item) => format!("{prefix}{}[{item}]", key.text),
        }
    }

    /// The same for a task that comes after one which has turned out to be this workflow:
    /// `report~4f0c…`.
    pub(super) fn text_after(
        &self,
        prefix: &str,
        task: u32,
        grown: &str,
        item: Option<u32>,
    ) -> String {
        let item = item.map(|item| format!("[{item}]")).unwrap_or_default();
        format!("{prefix}{}~{grown}{item}", self.keys[task as usize].text)
    }

    pub(super) fn namesakes(&self, task: u32) -> u32 {
        self.keys[task as usize].namesakes
    }
}
