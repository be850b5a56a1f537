//! The keys of the tasks of a workflow: their names, made different where names repeat.

use std::{collections::HashMap, fmt::Write as _};

/// The keys of all tasks, by number.
pub(super) struct Keys {
    names: Box<[Key]>,
}

struct Key {
    /// The name, without the characters that mean something in a key.
    name: Box<str>,
    /// Which of the tasks of this name it is, from 1.
    occurrence: u32,
    /// How many tasks have this name.
    namesakes: u32,
}

impl Keys {
    pub(super) fn of<'plan>(names: impl Iterator<Item = &'plan str> + Clone) -> Self {
        let mut counts: HashMap<&str, u32> = HashMap::new();
        let occurrences: Vec<u32> = names
            .clone()
            .map(|name| {
                let count = counts.entry(name).or_default();
                *count += 1;
                *count
            })
            .collect();
        let names = names.zip(occurrences).map(|(name, occurrence)| Key {
            name: escaped(name),
            occurrence,
            namesakes: counts[name],
        });
        Self {
            names: names.collect(),
        }
    }

    /// The key of a task or an item: `load`, `load#2` for the second task of that name,
    /// `load[7]` for an item, `inner/load` within a nested workflow.
    pub(super) fn text(&self, prefix: &str, task: u32, item: Option<u32>) -> String {
        let key = &self.names[task as usize];
        let mut text = format!("{prefix}{}", key.name);
        if key.occurrence > 1 {
            let _ = write!(text, "#{}", key.occurrence);
        }
        if let Some(item) = item {
            let _ = write!(text, "[{item}]");
        }
        text
    }

    pub(super) fn namesakes(&self, task: u32) -> u32 {
        self.names[task as usize].namesakes
    }
}

/// A task may be called `load#2`. Its key must not be that of the second `load`.
fn escaped(name: &str) -> Box<str> {
    if !name.contains(['%', '#', '[', '/']) {
        return name.into();
    }
    let mut text = String::with_capacity(name.len() + 2);
    for character in name.chars() {
        match character {
            '%' => text.push_str("%25"),
            '#' => text.push_str("%23"),
            '[' => text.push_str("%5b"),
            '/' => text.push_str("%2f"),
            _ => text.push(character),
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tasks_have_one_key() {
        let names = [
            "load", "load", "load#2", "load[0]", "a/b", "%23", "", "", "load",
        ];
        let keys = Keys::of(names.into_iter());
        let texts: Vec<String> = (0..9).map(|task| keys.text("", task, None)).collect();
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
                "load#3"
            ]
        );
        assert_eq!(keys.text("outer[3]/", 1, Some(7)), "outer[3]/load#2[7]");
        assert_eq!((keys.namesakes(0), keys.namesakes(2)), (3, 1));
    }
}
