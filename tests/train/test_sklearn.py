"""`fastgrad.sklearn`: scikit-learn's perceptrons over tapes.

Oracle: scikit-learn's own classes with the same parameters and random_state. Where a batch is all
of the data, or their order is kept, the same numbers come out.
"""

import pickle
import sys
import warnings

import pytest
from helpers.processes import python

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn", reason="needs fastgrad[sklearn]")

from sklearn import neural_network as theirs  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.datasets import load_digits, make_classification  # noqa: E402
from sklearn.exceptions import ConvergenceWarning, NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV, train_test_split  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import check_estimator  # noqa: E402

from fastgrad import sklearn as ours  # noqa: E402
from fastgrad.errors import FastgradValueError, NonFiniteError  # noqa: E402

pytestmark = pytest.mark.wide
ROWS = np.random.default_rng(1).normal(size=(60, 4))
TWO = (ROWS[:, 0] * ROWS[:, 1] > 0).astype(int)
THREE = np.array(["c", "a", "b"])[TWO + (ROWS[:, 2] > 0.5)]
LABELS = np.stack([TWO, ROWS[:, 3] > 0], axis=1).astype(int)
NUMBER = ROWS[:, 0] - 2 * ROWS[:, 1] ** 2
NUMBERS = np.stack([NUMBER, ROWS[:, 2]], axis=1)
COUNTS = np.floor(np.abs(3 * ROWS[:, 0]))
WEIGHTS = np.random.default_rng(2).integers(1, 4, 60).astype(float)
PROBLEMS = {
    "two classes": ("MLPClassifier", TWO, {}),
    "three classes": ("MLPClassifier", THREE, {}),
    "labels": ("MLPClassifier", LABELS, {}),
    "number": ("MLPRegressor", NUMBER, {}),
    "numbers": ("MLPRegressor", NUMBERS, {}),
    "counts": ("MLPRegressor", COUNTS, {"loss": "poisson"}),
}
SAME = {"shuffle": False, "random_state": 3, "max_iter": 12, "batch_size": 20}

SOON_STALE = {"tol": 0.1, "n_iter_no_change": 2, "max_iter": 60}


def pair(name, **parameters):
    """Return our estimator and theirs, with the same parameters."""
    parameters = {**SAME, "hidden_layer_sizes": (5, 3), **parameters}
    return [getattr(module, name)(**parameters) for module in (ours, theirs)]


def quietly(method, *args, **how):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return method(*args, **how)


def assert_same(one, two, rel=1e-9):
    for mine, other in zip(
        [*one.coefs_, *one.intercepts_], [*two.coefs_, *two.intercepts_], strict=True
    ):
        assert mine == pytest.approx(other, rel=rel, abs=rel)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_"):
        assert getattr(one, name) == getattr(two, name), name
    assert one.predict(ROWS).tolist() == pytest.approx(two.predict(ROWS).tolist(), rel=1e-6)


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_scikit_learn_s_checks_find_no_failure(name):
    estimator = getattr(ours, name)(max_iter=30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []
    assert sum(r["status"] == "passed" for r in results) > 40


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("weight", [None, WEIGHTS[:1].repeat(60)], ids=["plain", "weighted"])
def test_gradient_descent_equals_scikit_learn_s(problem, weight):
    name, y, extra = PROBLEMS[problem]
    one, two = pair(name, solver="sgd", learning_rate_init=0.01, alpha=0.1, **extra)
    for estimator in (one, two):
        quietly(estimator.fit, ROWS, y, sample_weight=weight)
    assert one.predict(ROWS).shape == two.predict(ROWS).shape
    for mine, other in zip(one.coefs_, two.coefs_, strict=True):
        assert mine == pytest.approx(other, rel=1e-9)
    if name == "MLPClassifier":
        assert one.predict_proba(ROWS) == pytest.approx(two.predict_proba(ROWS), rel=1e-9)
        assert one.predict_log_proba(ROWS) == pytest.approx(two.predict_log_proba(ROWS), rel=1e-6)
        assert one.classes_.tolist() == two.classes_.tolist()
        assert (one.predict(ROWS) == two.predict(ROWS)).all()


def test_unequal_weights_of_a_full_batch_equal_scikit_learn_s():
    one, two = pair("MLPClassifier", solver="sgd", batch_size=60, alpha=0.1)
    for estimator in (one, two):
        quietly(estimator.fit, ROWS, TWO, sample_weight=WEIGHTS)
    assert_same(one, two)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_activation_equals_scikit_learn_s(activation):
    one, two = pair("MLPRegressor", solver="sgd", activation=activation)
    for estimator in (one, two):
        quietly(estimator.fit, ROWS, NUMBER)
    assert_same(one, two)


@pytest.mark.parametrize(
    "parameters",
    [
        {"solver": "sgd", "momentum": 0.0},
        {"solver": "sgd", "nesterovs_momentum": False, "alpha": 0.0},
        {"solver": "sgd", "learning_rate": "invscaling", "momentum": 0.0},
        {"solver": "sgd", "learning_rate": "adaptive", "momentum": 0.0, **SOON_STALE},
        {"solver": "sgd", **SOON_STALE},
        {"solver": "sgd", "batch_size": 25, "alpha": 0.0},
        {"solver": "sgd", "hidden_layer_sizes": ()},
        {"solver": "sgd", "hidden_layer_sizes": 4},
        {"solver": "sgd", "batch_size": "auto"},
        {"solver": "adam", "learning_rate_init": 0.01, "epsilon": 1e-300},
    ],
    ids=str,
)  # fmt: skip
def test_parameters_mean_what_scikit_learn_says(parameters):
    one, two = pair("MLPRegressor", **parameters)
    for estimator in (one, two):
        quietly(estimator.fit, ROWS, NUMBER)
    assert_same(one, two)
    assert one.loss_curve_ == pytest.approx(two.loss_curve_, rel=1e-3)
    assert one.best_loss_ == min(one.loss_curve_)


@pytest.mark.parametrize("weight", [None, WEIGHTS], ids=["plain", "weighted"])
def test_lbfgs_finds_scikit_learn_s_minimum(weight):
    one, two = pair("MLPRegressor", solver="lbfgs", max_iter=100, alpha=1.0, activation="tanh")
    for estimator in (one, two):
        quietly(estimator.fit, ROWS, NUMBER, sample_weight=weight)
    assert one.loss_ == pytest.approx(two.loss_, rel=0.05)
    start, _ = pair("MLPRegressor", solver="lbfgs", max_iter=1, alpha=1.0, activation="tanh")
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
        start.fit(ROWS, NUMBER)
    assert one.loss_ < start.loss_
    assert not hasattr(one, "partial_fit")
    again = pickle.loads(pickle.dumps(one))
    assert again.predict(ROWS).tolist() == one.predict(ROWS).tolist()


# Accuracy, and what estimators are for ------------------------------------------------------------


@pytest.mark.parametrize("data", ["digits", "blobs"])
def test_accuracy_is_that_of_scikit_learn_within_1_percent(data):
    if data == "digits":
        X, y = load_digits(return_X_y=True)
        X = X / 16
    else:
        X, y = make_classification(2000, 20, n_informative=10, class_sep=1.5, random_state=0)
    parts = train_test_split(X, y, random_state=0)
    scores = []
    for module in (ours, theirs):
        model = module.MLPClassifier((32,), max_iter=40, learning_rate_init=0.005, random_state=1)
        scores.append(quietly(model.fit, parts[0], parts[2]).score(parts[1], parts[3]))
    assert scores[0] == pytest.approx(scores[1], abs=0.01)
    assert scores[0] > 0.93


def test_pipeline_and_grid_search_find_the_better_size():
    pipeline = make_pipeline(
        StandardScaler(), ours.MLPRegressor(solver="lbfgs", max_iter=300, random_state=0)
    )
    grid = {"mlpregressor__hidden_layer_sizes": [(1,), (8,)], "mlpregressor__alpha": [1e-3]}
    search = quietly(GridSearchCV(pipeline, grid, cv=2).fit, ROWS, NUMBER)
    assert search.best_params_["mlpregressor__hidden_layer_sizes"] == (8,)
    assert search.score(ROWS, NUMBER) > 0.9


def test_shuffled_fit_is_a_function_of_random_state():
    fits = [
        quietly(ours.MLPClassifier((4,), max_iter=5, random_state=s).fit, ROWS, THREE)
        for s in (1, 1, 2)
    ]
    numbers = [fit.coefs_[0].tolist() for fit in fits]
    assert numbers[0] == numbers[1] != numbers[2]


# Fits that go on ----------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_partial_fit_goes_on_as_scikit_learn_s_also_after_a_pickle(solver):
    one, two = pair("MLPClassifier", solver=solver, batch_size=60, epsilon=1e-300)
    for part in range(4):
        for estimator in (one, two):
            classes = None if part else ["a", "b", "c"]
            estimator.partial_fit(ROWS, THREE, classes=classes)
        one = pickle.loads(pickle.dumps(one)) if part == 1 else one
    for mine, other in zip(one.coefs_, two.coefs_, strict=True):
        assert mine == pytest.approx(other, rel=1e-8)
    assert one.loss_curve_ == pytest.approx(two.loss_curve_, rel=1e-3)
    assert (one.predict(ROWS) == two.predict(ROWS)).all()


def test_partial_fit_of_a_regressor_goes_on_behind_fit():
    one, two = pair("MLPRegressor", solver="sgd", batch_size=60)
    for estimator in (one, two):
        quietly(estimator.fit, ROWS, NUMBER)
        estimator.partial_fit(ROWS, NUMBER, sample_weight=WEIGHTS)
    assert_same(one, two)


def test_partial_fit_of_labels_needs_their_indicators():
    one, two = pair("MLPClassifier", solver="sgd")
    for estimator in (one, two):
        estimator.partial_fit(ROWS, LABELS, classes=[0, 1])
    assert one.predict(ROWS).tolist() == two.predict(ROWS).tolist()


def test_partial_fit_draws_another_order_each_time():
    model = ours.MLPRegressor(hidden_layer_sizes=(3,), batch_size=7, random_state=1).partial_fit(
        ROWS, NUMBER
    )
    first = model.coefs_[0].copy()
    model._network = None  # a new optimizer, but the seed of a second call
    again = clone(model).partial_fit(ROWS, NUMBER)
    assert again.coefs_[0].tolist() == first.tolist()
    assert model.partial_fit(ROWS, NUMBER).t_ == 120


def test_warm_start_goes_on_from_the_parameters():
    one, two = pair("MLPClassifier", solver="sgd", warm_start=True)
    for _ in range(2):
        for estimator in (one, two):
            quietly(estimator.fit, ROWS, THREE)
    for mine, other in zip(one.coefs_, two.coefs_, strict=True):
        assert mine == pytest.approx(other, rel=1e-8)
    assert len(one.loss_curve_) == 24
    one.set_params(activation="tanh")
    quietly(one.fit, ROWS, THREE)
    assert len(one.loss_curve_) > 24


def test_early_stopping_keeps_the_best_parameters(capsys):
    parameters = {
        "solver": "sgd", "early_stopping": True, "validation_fraction": 0.3, "batch_size": 42,
        "n_iter_no_change": 3, "max_iter": 80, "tol": 0.0, "learning_rate_init": 0.05, "alpha": 0.0,
    }  # fmt: skip
    for problem, weight in (("two classes", None), ("labels", None), ("number", WEIGHTS)):
        name, y, _ = PROBLEMS[problem]
        one, two = pair(name, **parameters, verbose=weight is None)
        for estimator in (one, two):
            quietly(estimator.fit, ROWS, y, sample_weight=weight)
        assert one.validation_scores_ == pytest.approx(two.validation_scores_, rel=1e-6)
        assert one.best_validation_score_ == max(one.validation_scores_)
        assert one.best_loss_ is None
        for mine, other in zip(one.coefs_, two.coefs_, strict=True):
            assert mine == pytest.approx(other, rel=1e-6)
    out = capsys.readouterr().out
    assert "Iteration 1, loss = " in out
    assert "Validation score: " in out
    assert "Validation score did not improve more than tol=0.000000 for 3" in out
    assert "Stopping." in out


def test_adaptive_rate_ends_at_the_smallest(capsys):
    model = ours.MLPRegressor(
        hidden_layer_sizes=(2,), solver="sgd", learning_rate="adaptive", learning_rate_init=4e-6,
        tol=10.0, n_iter_no_change=1, verbose=True, random_state=0,
    ).fit(ROWS, NUMBER)  # fmt: skip
    quietly(clone(model).set_params(verbose=False, max_iter=5).fit, ROWS, NUMBER)
    out = capsys.readouterr().out
    assert out.count("Setting learning rate to 0.000001") == 1
    assert "Training loss did not improve more than tol=10.000000 for 1" in out
    assert model.n_iter_ < 200


def test_ctrl_c_keeps_what_was_learnt(monkeypatch):
    lines = []

    class Screen:
        def write(self, text):
            lines.append(text)
            if text.startswith("Iteration 3"):
                raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdout", Screen())
    one = ours.MLPRegressor(hidden_layer_sizes=(3,), random_state=0, verbose=True)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        one.fit(ROWS, NUMBER)
    two = quietly(clone(one).set_params(verbose=False, max_iter=3).fit, ROWS, NUMBER)
    assert_same(one, two)


def test_end_of_iterations_warns_at_the_caller_s_line():
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\)") as caught:
        ours.MLPRegressor(hidden_layer_sizes=(2,), max_iter=2).fit(ROWS, NUMBER)
    assert caught[0].filename == __file__


# Refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "fragment"),
    [
        ({"hidden_layer_sizes": (3, 0)}, "expected positive integers, got (3, 0)"),
        ({"hidden_layer_sizes": 2.5}, "expected positive integers, got 2.5"),
        ({"activation": "elu"}, "one of identity, logistic, tanh, relu, got 'elu'"),
        ({"solver": None}, "one of lbfgs, sgd, adam, got None"),
        ({"alpha": -1}, "a number of at least 0, got -1 (alpha of MLPRegressor)"),
        ({"batch_size": 0}, '"auto" or a count, got 0'),
        ({"learning_rate_init": 0.0}, "a positive number, got 0.0"),
        ({"max_iter": True}, "a positive integer, got True"),
        ({"validation_fraction": 1.0}, "a number from 0 to below 1, got 1.0"),
        ({"momentum": "much"}, "a number from 0 to 1, got 'much'"),
        ({"loss": "hinge"}, "one of log_loss, squared_error, poisson, got 'hinge'"),
    ],
)
def test_parameters_of_no_use_are_refused(parameters, fragment):
    with pytest.raises(FastgradValueError) as caught:
        ours.MLPRegressor(**parameters).fit(ROWS, NUMBER)
    assert fragment in str(caught.value)


def refused(call, *fragments):
    with pytest.raises(FastgradValueError) as caught:
        quietly(call)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_fits_that_do_not_go_together_are_refused():
    model = ours.MLPClassifier((3,), max_iter=2, warm_start=True, random_state=0)
    refused(lambda: model.partial_fit(ROWS, TWO), "expected all classes, as classes=, got None")
    quietly(model.fit, ROWS, THREE)
    refused(lambda: model.fit(ROWS, TWO), "expected the classes of before, ['a', 'b', 'c']")
    refused(lambda: model.partial_fit(ROWS, ["d"] * 60), "got ['d']")
    refused(lambda: model.partial_fit(ROWS, THREE, classes=["a"]), "(classes)")
    model.partial_fit(ROWS, THREE, classes=["a", "b", "c"])
    model.set_params(hidden_layer_sizes=(4,))
    refused(lambda: model.fit(ROWS, THREE), "layers of [4, 4, 3] units, as before, got [4, 3, 3]")
    early = ours.MLPRegressor(early_stopping=True)
    refused(lambda: early.partial_fit(ROWS, NUMBER), "early_stopping=False, with partial_fit")
    refused(lambda: early.fit(ROWS[:9], NUMBER[:9]), "at least 2 samples for validation, got 1")
    poisson = ours.MLPRegressor(loss="poisson")
    refused(lambda: poisson.fit(ROWS, NUMBER), "numbers of at least 0")


def test_odd_data_give_scikit_learn_s_messages():
    model = ours.MLPRegressor(hidden_layer_sizes=(2,), max_iter=1, batch_size=99)
    with pytest.raises(NotFittedError):
        model.predict(ROWS)
    with pytest.warns(UserWarning, match="batch_size 99 larger than the sample size 60"):
        quietly(model.fit, ROWS, NUMBER)
    with pytest.warns(UserWarning, match="A column-vector y was passed"):
        quietly(ours.MLPRegressor(hidden_layer_sizes=(2,), max_iter=1).fit, ROWS, NUMBER[:, None])
    with pytest.warns(UserWarning, match="A column-vector y was passed"):
        quietly(ours.MLPClassifier((2,), max_iter=1).fit, ROWS, TWO[:, None])
    with pytest.raises(ValueError, match="X has 3 features"):
        model.predict(ROWS[:, :3])


def test_loss_that_is_not_finite_is_an_error():
    with pytest.raises(NonFiniteError):
        ours.MLPRegressor(hidden_layer_sizes=(2,), solver="sgd", learning_rate_init=1e200).fit(
            ROWS, NUMBER
        )


def test_missing_scikit_learn_names_what_to_install(tmp_path):
    code = "import sys; sys.modules['sklearn'] = None; import fastgrad; {}"
    for use in ("import fastgrad.sklearn", "fastgrad.sklearn"):
        process = python("-c", code.format(use), cwd=tmp_path)
        assert process.returncode == 1
        last = process.stderr.splitlines()[-1]
        assert last.startswith("fastgrad.errors.MissingExtraError: expected scikit-learn")
        assert last.endswith("pip install 'fastgrad[sklearn]'")
    process = python("-c", code.format("print('sklearn' in dir(fastgrad))"), cwd=tmp_path)
    assert process.stdout == "False\n"
