// `Self` in a signature.

use dotflow::action;

#[derive(Clone)]
struct Warehouse {
    table: String,
}

impl Warehouse {
    #[action]
    fn load(warehouse: Self) -> String {
        warehouse.table
    }
}

fn main() {
    let _ = Warehouse::load(Warehouse {
        table: "sales".into(),
    });
}
