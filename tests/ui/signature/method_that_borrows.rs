// Methods whose other parameters are against the rules as well, and how one tries to use them.

use dotflow::{PreviousContext, action, task};

#[derive(Clone)]
struct Warehouse {
    table: String,
}

impl Warehouse {
    #[action]
    async fn load(&self, schema: &str) -> usize {
        self.table.len() + schema.len()
    }

    #[action]
    async fn emptied(&self) -> Self {
        Self { table: String::new() }
    }

    #[action]
    async fn merged(&self, other: Self, rows: PreviousContext<usize>) -> usize {
        self.table.len() + other.table.len() + *rows
    }
}

fn main() {
    let warehouse = Warehouse {
        table: "sales".into(),
    };
    let loaded = task(warehouse.load("public"));
    let _ = loaded.then(warehouse.merged(warehouse.clone()));
    let _ = task(warehouse.emptied());
}
