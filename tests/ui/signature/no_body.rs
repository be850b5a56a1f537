// A declaration without a body.

use dotflow::action;

trait Loads {
    #[action]
    fn load(table: String) -> String;
}

fn main() {}
