//! Names of the user that look like those of the expansion: neither ever takes the other's place.

use dotflow::{PreviousContext, TaskContext, action};

use crate::run;

#[action]
fn area((width, height): (u32, u32), input_0: u32) -> u32 {
    width * height * input_0
}

#[action]
fn several(_: u8, input_0: u32, [input_3, b]: [u32; 2], input_0_: u32, input_2: u32) -> [u32; 5] {
    [input_0, input_3, b, input_0_, input_2]
}

#[test]
fn an_input_may_be_called_like_one_without_a_name() {
    assert_eq!(run(&area((2, 3), 7), ()).unwrap(), 42);
    assert_eq!(
        run(&several(0, 1, [2, 3], 4, 5), ()).unwrap(),
        [1, 2, 3, 4, 5]
    );
}

#[action]
fn beside_patterns((width, height): (u32, u32), __input_0: u32, __input_0_: u32) -> u32 {
    width * height * __input_0 * __input_0_
}

#[test]
fn an_input_may_be_called_as_the_expansion_calls_one_without_a_name() {
    assert_eq!(run(&beside_patterns((2, 3), 7, 10), ()).unwrap(), 420);
}

/// As the struct of the expansion is called.
#[derive(Clone, Debug, PartialEq)]
struct __Action {
    number: u32,
}

#[allow(non_snake_case)]
#[action]
fn of_the_struct(__Action: u32) -> __Action {
    __Action { number: __Action }
}

#[action]
fn made_in_the_body(number: u32) -> Vec<u32> {
    let made = __Action { number };
    #[allow(non_snake_case)]
    let __Action_ = made.number;
    vec![__Action_]
}

#[allow(non_camel_case_types)]
#[action]
fn of_a_parameter<__Action: Clone>(value: __Action) -> __Action {
    value
}

#[test]
fn a_type_may_be_called_like_the_struct_of_the_expansion() {
    assert_eq!(run(&of_the_struct(7), ()).unwrap(), __Action { number: 7 });
    assert_eq!(run(&made_in_the_body(7), ()).unwrap(), [7]);
    assert_eq!(run(&of_a_parameter("a"), ()).unwrap(), "a");
}

#[action]
fn of_the_call(
    own_0: u32,
    previous_0: u32,
    task: u32,
    own_1: PreviousContext<u32>,
    this: TaskContext,
    outcome: u32,
    r#type: u32,
) -> [u32; 7] {
    [
        own_0,
        previous_0,
        task,
        *own_1,
        this.attempt(),
        outcome,
        r#type,
    ]
}

#[test]
fn inputs_may_be_called_like_the_variables_of_the_expansion() {
    let action = of_the_call(1, 2, 3, 6, 7);
    assert_eq!(run(&action, (4.into(),)).unwrap(), [1, 2, 3, 4, 1, 6, 7]);
}

fn task(error: &String) -> bool {
    error == "again"
}

fn own_0(error: &String) -> bool {
    !task(error)
}

#[action(retry = 3, retry_if = task)]
fn call(own_0: String, _task: TaskContext) -> Result<u32, String> {
    Err(own_0)
}

#[action(retry = 3, retry_if = own_0)]
fn spec(own_1: String) -> Result<u32, String> {
    Err(own_1)
}

#[test]
fn a_condition_may_be_called_like_a_variable_of_the_expansion() {
    for (error, attempts) in [("again", [3, 1]), ("never", [1, 3])] {
        let call = dotflow::task(call(error.into())).retry_delay(std::time::Duration::ZERO);
        let spec = dotflow::task(spec(error.into())).retry_delay(std::time::Duration::ZERO);
        let workflow = dotflow::DotFlow::new("conditions", (call, spec)).keep_going(true);
        let report = dotflow_tests::paused(workflow.start()).unwrap();
        let tried = report.tasks().iter().map(|task| task.errors().len());
        assert_eq!(tried.collect::<Vec<_>>(), attempts, "{error}");
    }
}

#[allow(non_upper_case_globals)]
#[action]
fn sized<const own_0: usize, const previous_0: usize, const context: usize>(
    number: usize,
    previous: PreviousContext<usize>,
    _: TaskContext,
) -> [usize; 5] {
    [number, *previous, own_0, previous_0, context]
}

#[test]
fn const_parameters_may_be_called_like_variables_of_the_expansion() {
    let action = sized::<1, 2, 3>(4);
    assert_eq!(run(&action, (5.into(),)).unwrap(), [4, 5, 1, 2, 3]);
}

mod shadowed {
    //! Every name that an expansion could lean on is another one here.

    #![allow(dead_code, non_camel_case_types)]

    use ::dotflow::action;

    struct Option;
    struct Result;
    struct Some;
    struct Ok;
    struct Vec;
    struct String;
    struct Box;
    struct PhantomData;
    struct Duration;
    trait Clone {}
    trait Send {}
    trait Sync {}
    trait Action {}
    trait Otherwise {}
    mod core {}
    mod std {}
    mod dotflow {}

    #[action(retry = 2, retry_delay = 0, timeout = 1, version = 3, may_overlap)]
    pub(super) fn shadowed<T: ::core::clone::Clone>(value: T) -> T {
        value
    }
}

#[test]
fn any_name_may_be_shadowed() {
    assert_eq!(run(&shadowed::shadowed(7), ()).unwrap(), 7);
}

macro_rules! action_from_parts {
    ($name:ident, $input:ident: $ty:ty, $body:block) => {
        #[action]
        fn $name(input_1: u32, $input: $ty, (a, input_2): (u32, u32)) -> u32 {
            input_1 + a + input_2 + $input + $body
        }
    };
}

action_from_parts!(from_parts, input_2: u32, { 100 });

#[test]
fn names_of_another_macro_are_told_apart() {
    assert_eq!(run(&from_parts(1, 9, (10, 20)), ()).unwrap(), 140);
}

/// Items of the user by the names that stand in the expansion: as a constant, a static or a struct
/// without fields they would be patterns where the expansion has variables.
macro_rules! items_of_the_names_in_the_expansion {
    ($($module:ident: $declare:ident),* $(,)?) => {
        $(
            mod $module {
                #![allow(dead_code, non_camel_case_types, non_snake_case, non_upper_case_globals)]

                use std::sync::Arc;

                use ::dotflow::{PreviousContext, TaskContext, TaskError, action};

                use crate::run;

                $declare!(__own_0);
                $declare!(__own_1);
                $declare!(__previous_0);
                $declare!(__context);
                $declare!(__shared_0);
                $declare!(__Shared1);
                $declare!(__Input);
                $declare!(__Own0);
                $declare!(own_0);
                $declare!(previous_0);
                $declare!(context);
                $declare!(input_0);
                $declare!(condition);
                $declare!(task);
                $declare!(call);
                $declare!(spec);
                $declare!(variable);
                $declare!(dotflow);
                $declare!(core);

                trait Factor: Send + Sync {
                    fn factor(&self) -> u32;
                }

                impl Factor for u32 {
                    fn factor(&self) -> u32 {
                        *self
                    }
                }

                fn again(_: &String) -> bool {
                    true
                }

                #[action(retry = 2, retry_if = again)]
                fn plain(
                    number: u32,
                    factor: Arc<dyn Factor>,
                    (a, _): (u32, u32),
                    previous: PreviousContext<u32>,
                    here: TaskContext,
                ) -> Result<u32, String> {
                    Ok((number * factor.factor() + *previous + a) * here.attempt())
                }

                #[action]
                async fn waits<T: Clone>(
                    value: T,
                    previous: Result<PreviousContext<u32>, TaskError>,
                ) -> (T, u32) {
                    (value, previous.map_or(0, |previous| *previous))
                }

                #[test]
                fn change_nothing() {
                    let action = plain(2, Arc::new(3_u32), (20, 0));
                    assert_eq!(run(&action, (10.into(),)).unwrap(), 36);
                    assert_eq!(run(&waits("a"), (Ok(1.into()),)).unwrap(), ("a", 1));
                }
            }
        )*
    };
}

macro_rules! a_constant {
    ($name:ident) => {
        const $name: u8 = 1;
    };
}

macro_rules! a_static {
    ($name:ident) => {
        static $name: u8 = 1;
    };
}

macro_rules! a_unit_struct {
    ($name:ident) => {
        struct $name;
    };
}

macro_rules! a_function {
    ($name:ident) => {
        fn $name() {}
    };
}

macro_rules! a_trait {
    ($name:ident) => {
        trait $name {}
    };
}

macro_rules! a_module {
    ($name:ident) => {
        mod $name {}
    };
}

items_of_the_names_in_the_expansion! {
    constants: a_constant,
    statics: a_static,
    unit_structs: a_unit_struct,
    functions: a_function,
    traits: a_trait,
    modules: a_module,
}

mod macros {
    //! Macros by the names of those that an expansion might call.

    #![allow(unused_macros)]

    use dotflow::action;

    macro_rules! vec {
        () => {};
    }
    macro_rules! format {
        () => {};
    }
    macro_rules! panic {
        () => {};
    }
    macro_rules! matches {
        () => {};
    }
    macro_rules! unreachable {
        () => {};
    }

    #[action(retry = 2, timeout = 1)]
    pub(super) fn number(number: u32) -> u32 {
        number
    }
}

#[test]
fn macros_may_have_any_name() {
    assert_eq!(run(&macros::number(7), ()).unwrap(), 7);
}

#[allow(non_camel_case_types)]
#[action]
fn of_type_parameters<__Own0, T: Clone, task: Clone, __Input>(
    value: T,
    other: task,
    previous: PreviousContext<__Own0>,
    more: PreviousContext<__Input>,
) -> (T, task, __Own0, __Input)
where
    __Own0: Clone,
    __Input: Clone,
{
    (value, other, previous.into_inner(), more.into_inner())
}

#[test]
fn type_parameters_may_have_any_name() {
    let action = of_type_parameters(1, "b");
    assert_eq!(
        run(&action, ('c'.into(), 4.into())).unwrap(),
        (1, "b", 'c', 4)
    );
}
