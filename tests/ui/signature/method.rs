// A method.

use dotflow::action;

struct Warehouse {
    table: String,
}

impl Warehouse {
    #[action]
    fn load(&self) -> String {
        self.table.clone()
    }
}

fn main() {
    let warehouse = Warehouse {
        table: "sales".into(),
    };
    let _ = warehouse.load();
}
