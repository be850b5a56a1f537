// Methods, and how one tries to use them.

use dotflow::{DotFlow, PreviousContext, TaskContext, action, task};

struct Warehouse {
    table: String,
}

impl Warehouse {
    #[action]
    fn load(&self) -> String {
        self.table.clone()
    }

    #[action(retry = 3)]
    async fn store(
        self: std::sync::Arc<Self>,
        (schema, _): (String, u32),
        rows: PreviousContext<String>,
        task: TaskContext,
    ) -> Result<usize, std::io::Error> {
        if task.attempt() == 1 {
            return Ok(0);
        }
        Ok(self.table.len() + schema.len() + rows.len())
    }

    #[action]
    fn clear(mut self) {
        self.table.clear();
    }
}

fn main() {
    let warehouse = Warehouse {
        table: "sales".into(),
    };
    let loaded = task(warehouse.load());
    let shared = std::sync::Arc::new(Warehouse {
        table: "sales".into(),
    });
    let stored = loaded.then(shared.store(("public".into(), 1)));
    let _ = DotFlow::new("sales", (stored, task(warehouse.clear())));
}
