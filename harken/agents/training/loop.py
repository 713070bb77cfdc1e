"""Training an agent from nothing: imitation, reinforcement, evaluation, and going on after an interruption."""

import functools
import json
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger, configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv

from harken.agents.networks.look_listen_act import LookListenActSize
from harken.agents.networks.sensors import PRIVILEGED
from harken.agents.policies import policy_file
from harken.agents.training.checkpoint import load_policy, load_training, read_card, save_policy, save_training
from harken.agents.training.environments import ThreadVecEnv
from harken.agents.training.imitation import Imitation, TeacherDrives
from harken.agents.training.recurrent import EncoderPolicy, SequencePPO
from harken.agents.training.resuming import Resumable
from harken.agents.training.settings import TrainSettings, falling_rate
from harken.agents.training.workers import ProcessVecEnv
from harken.agents.zoo import ModelCard
from harken.configs import load_preset, to_mapping, to_yaml
from harken.envs import TaskEnv, WaypointActions
from harken.envs.threads import checked_threads
from harken.envs.waypoints import usual_cell
from harken.errors import ConfigurationError, HarkenError, StateError
from harken.files import checked_output_folder, locked, read_text, remove_partial_files, write_text
from harken.tasks import Sensor

__all__ = [
    "MEASURES",
    "Judge",
    "check_same_settings",
    "environment_arguments",
    "make_environments",
    "policy_card",
    "train",
]

MEASURES = ("success", "spl", "soft_spl", "steps")
"""Measures of an episode's end that are kept."""

OWN_MOVEMENT = ("collision", "last_action")
"""Sensors that tell an agent what it did, which are added to those that a task shows."""

Judge = Callable[[EncoderPolicy, TrainSettings, int], Mapping[str, float]]
"""Evaluates a policy after so many steps, such as `harken.eval.judge_policy`; of what it returns "spl" tells which
policy is the best."""

WAYPOINT_STOP = 0.75
"""Least distance at which a teacher of way points stops [m]: they are half a metre apart."""

REPLAY = "replay"
"""Folder of the rollouts that imitation learns from again."""

CHECKPOINTS_KEPT = 2
"""How many checkpoints stay, beside the best policy and the last."""


def environment_arguments(settings: TrainSettings, *, split: str = "train") -> dict[str, Any]:
    """Return the arguments of the environments of a training."""
    config: dict[str, Any] = {"body": {"camera": settings.camera}}
    arguments: dict[str, Any] = {"split": split, "config": config}
    if settings.preset is not None:
        arguments["preset"] = settings.preset
    if settings.attacker is not None:
        arguments["attacker"] = settings.attacker
    one = TaskEnv(settings.task, **arguments)
    rules = one.settings
    if not hasattr(rules, "success_distance"):
        raise ConfigurationError(
            f"Task {settings.task!r} has no goal to find; harken train needs one. Train it with Stable-Baselines3, as "
            "examples/train_ppo.py does."
        )
    if settings.sound is not None and getattr(one.task, "sounds", None) is not None:
        arguments["sound"] = settings.sound
    learner = settings.learner
    wanted = learner.sensors or (*one.sensors, *OWN_MOVEMENT)
    wanted += learner.small_with if settings.size == "small" else ()
    without = learner.small_without if settings.size == "small" else ()
    shown = (name for name in wanted if name in one.task.sensors and name not in without)
    arguments["sensors"] = settings.sensors or tuple(dict.fromkeys(shown))
    _check_sensors(settings, one.task.sensors)
    if settings.size == "small":
        config |= settings.learner.small
    if settings.size == "small" and hasattr(rules, "observation_time"):
        config["observation_time"] = rules.step_time  # without the zeros that follow the sound of a step
    if split == "train":
        arguments["pool"] = settings.pool
        config["goals_per_home"] = settings.goals_per_home
        if hasattr(rules, "oracle_distance") and rules.body.motion == "continuous":  # on a grid it stops at the goal
            nearest = WAYPOINT_STOP if settings.learner.waypoints else rules.body.forward_step
            config["oracle_distance"] = max(settings.imitation.stop_distance, nearest)
    one.close()
    return arguments


def _check_sensors(settings: TrainSettings, sensors: Mapping[str, Sensor]) -> None:
    """Check that a network sees no labels, and that the task has those that it learns to predict."""
    if hidden := sorted(PRIVILEGED.intersection(settings.sensors)):
        raise ConfigurationError(
            f"Sensors {', '.join(hidden)} were given; they are for teachers, and no network sees them. Leave them out."
        )
    missing = [name for name in settings.learner.labels if name not in sensors]
    if missing and settings.imitation.steps:
        raise ConfigurationError(
            f"Agent {settings.agent!r} learns to predict {', '.join(missing)}, which task {settings.task!r} does not "
            "know. Train it for semantic-audiogoal, or choose another agent."
        )


def policy_card(settings: TrainSettings, steps: int, measures: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Return what is written beside the weights of a policy: what its environments are like, and what it reached.

    Args:
        settings: The settings of the training.
        steps: After how many steps the weights were as they are.
        measures: What it reached.
    """
    config = environment_arguments(settings, split="val")["config"]
    more: dict[str, Any] = {"waypoint_steps": settings.longest_way} if settings.learner.waypoints else {}
    more |= {} if settings.preset is None else {"preset": settings.preset}
    return {
        "trained_steps": steps, "task": settings.task, "config": config, "deterministic": settings.deterministic,
        **more, **(measures or {}),
    }  # fmt: skip


def network_size(settings: TrainSettings) -> Any:
    """Return the sizes of the network of a training; a network that plans is told the sizes of the task's cells."""
    size = settings.network
    if not isinstance(size, LookListenActSize):
        return size
    one = TaskEnv(settings.task, **environment_arguments(settings, split="val"))
    rules: Any = one.settings
    one.close()
    return replace(size, map_cell=rules.map.cell, waypoint_cell=usual_cell(rules.body))


def make_environments(settings: TrainSettings, *, teacher: bool) -> VecEnv:
    """Return the environments of a training, as Stable-Baselines3 takes them.

    Args:
        settings: The settings.
        teacher: Whether the oracle's action is shown, and labels of what the network predicts.
    """
    arguments = environment_arguments(settings)
    if teacher:
        arguments["sensors"] = (*arguments["sensors"], settings.imitation.teacher, *settings.learner.labels)
    longest = settings.longest_way if settings.learner.waypoints else 0
    make = [functools.partial(_watched, settings.task, arguments, longest, teacher)] * settings.environments
    workers = min(checked_threads(settings.workers), settings.environments)
    made = ThreadVecEnv(make, threads=1) if workers == 1 else ProcessVecEnv(make, processes=workers)
    made.seed(settings.seed)
    return made


def _watched(task: str, arguments: Mapping[str, Any], longest_way: int, teacher: bool) -> gym.Env:
    env: gym.Env = TaskEnv(task, **arguments)
    if longest_way:
        env = WaypointActions(env, longest=longest_way, shows_mask=True, shows_detours=teacher)
    return Resumable(Monitor(env, info_keywords=MEASURES))


def train(settings: TrainSettings, out: str | Path, *, judge: Judge | None = None, progress: bool = True) -> Path:
    """Train an agent, or go on where an earlier call with the same settings and folder was interrupted.

    What is learnt is the same, bit by bit, with and without interruptions.

    Args:
        settings: The settings.
        out: Folder for checkpoints, curve and policy.
        judge: Evaluates the policy now and then, such as `harken.eval.judge_policy`; None for never.
        progress: Whether to show a progress bar.

    Returns:
        The file of the best policy: of all evaluations the one with the highest SPL, or the last without evaluations.
        Beside it are ``config.yaml`` (the settings), ``task.yaml`` (the rules of the task), ``card.yaml`` (how it was
        trained and what it reached), ``last.safetensors``, the curve and the checkpoints.

    Raises:
        ConfigurationError: The folder holds a training with other settings, or a setting is impossible.
        StateError: The weights are no numbers any more; ``last.safetensors`` holds those of the update before.
        FileError: The folder cannot be written.
    """
    folder = checked_output_folder(out)
    threads = torch.get_num_threads()
    with locked(folder):
        check_same_settings(settings, folder)
        torch.manual_seed(settings.seed)
        stages: tuple[tuple[str, type[SequencePPO], int], ...] = (
            ("imitation", Imitation, settings.imitation.steps),
            ("reinforcement", SequencePPO, settings.reinforcement.steps),
        )
        run = _Run(settings, folder, judge, progress)
        end = 0
        try:
            for name, kind, steps in stages:
                end += steps
                if steps and run.steps < end:
                    run.stage(name, kind, end)
            run.finish()
        finally:
            torch.set_num_threads(threads)
    return folder / "best.safetensors"


def check_same_settings(settings: TrainSettings, folder: Path) -> None:
    """Check that a folder holds no training with other settings, and write these if it holds none.

    Raises:
        ConfigurationError: It holds one; the message names the settings that differ.
    """
    path = folder / "config.yaml"
    if path.is_file():
        found, given = to_mapping(load_preset(TrainSettings, path)), to_mapping(settings)
        # What is learnt does not depend on the number of workers.
        other = [name for name in given if name != "workers" and found[name] != given[name]]
        if other:
            raise ConfigurationError(
                f"The folder {str(folder)!r} holds a training with other settings: {', '.join(other)} (config.yaml). "
                "Choose another folder, or go on with its settings."
            )
        return
    write_text(path, to_yaml(settings))


class _Run:
    """One training: its folder, and how far it has come."""

    def __init__(self, settings: TrainSettings, folder: Path, judge: Judge | None, progress: bool):
        self.settings, self.folder, self.judge, self.progress = settings, folder, judge, progress
        self.total = settings.imitation.steps + settings.reinforcement.steps
        self.threads = checked_threads(settings.network_threads)
        self.seconds = 0.0
        self.checkpoint = max(folder.glob("checkpoint-*.safetensors"), default=None)
        self.steps = 0 if self.checkpoint is None else int(self.checkpoint.stem.rpartition("-")[2])
        self.curve = folder / "curve.jsonl"
        remove_partial_files(folder)
        if self.curve.is_file():  # what came after the checkpoint comes again
            whole, _, _ = read_text(self.curve).rpartition("\n")  # a killed process may have left half a line
            lines = [line for line in whole.splitlines() if json.loads(line)["steps"] <= self.steps]
            write_text(self.curve, "".join(f"{line}\n" for line in lines))
            self.seconds = json.loads(lines[-1])["seconds"] if lines else 0.0
        self.model: SequencePPO | None = None

    def stage(self, name: str, kind: type[SequencePPO], end: int) -> None:
        """Learn in one way up to a number of steps."""
        settings = self.settings
        if kind is not Imitation:
            self._forget()
        envs = make_environments(settings, teacher=kind is Imitation)
        try:
            self._learn(name, kind, end, envs)
        finally:  # workers would go on after an error
            envs.close()

    def _learn(self, name: str, kind: type[SequencePPO], end: int, envs: VecEnv) -> None:
        settings, stepping = self.settings, envs
        assert isinstance(stepping, ThreadVecEnv | ProcessVecEnv)
        write_text(self.folder / "task.yaml", to_yaml(envs.get_attr("settings", indices=[0])[0]))
        if kind is Imitation:
            envs = TeacherDrives(envs, share=1.0, seed=settings.seed, teacher=settings.imitation.teacher)
        weights = self._weights()  # before the model seeds the random generators, from which a network is made
        model = kind(settings.learner.policy_class, envs, **self._arguments(kind))
        model.set_logger(_logger(self.folder))
        # Whole rollouts can go beyond the steps of a stage, so these do not tell which one a checkpoint belongs to.
        if self.checkpoint is not None and read_card(self.checkpoint)["stage"] == name:
            self._go_on(model, envs, load_training(self.checkpoint, model))
        else:
            envs.env_method("limit_distance", settings.curriculum.most_distance(self.steps))
            if weights is not None:
                self._begin_with(model, weights)
            model.num_timesteps = self.steps
        self.model = model
        watch = _Watch(self, name, envs, stepping)
        try:
            steps = end - model.num_timesteps
            model.learn(steps, callback=watch, reset_num_timesteps=False, log_interval=10**9)  # the watch logs
        except ValueError as error:  # torch's distributions refuse what is no number
            if not isinstance(error, HarkenError):
                watch.check_finite()
            raise
        watch.end()
        self.steps = model.num_timesteps

    def _begin_with(self, model: SequencePPO, weights: dict[str, torch.Tensor]) -> None:
        try:
            model.policy.load_state_dict(weights)
        except RuntimeError as error:
            raise ConfigurationError(
                f"The weights of {self.settings.start!r} do not fit this training: {error}. Begin with those of "
                "the same sensors and size."
            ) from error

    def _weights(self) -> dict[str, torch.Tensor] | None:
        """Return what was learnt so far, None at the beginning."""
        if self.model is not None:
            return self.model.policy.state_dict()
        if self.checkpoint is not None:
            return load_policy(self.checkpoint).state_dict()
        start = self.settings.start
        return None if start is None else load_policy(policy_file(start)).state_dict()

    def _arguments(self, kind: type[SequencePPO]) -> dict[str, Any]:
        settings = self.settings
        seed = settings.seed if kind is Imitation else settings.seed + 10_000  # other episodes than before
        common = {"device": settings.device, "seed": seed, "policy_kwargs": {"size": network_size(settings)}}
        if kind is Imitation:
            one = settings.imitation
            return common | {
                "n_steps": one.rollout, "batch_size": one.batch, "n_epochs": one.epochs, "ent_coef": one.entropy,
                "vf_coef": one.value, "balance": one.balance, "teacher": one.teacher,
                "rollouts": one.remembered, "folder": self.folder / REPLAY,
                "learning_rate": functools.partial(falling_rate, one.learning_rate),
            }  # fmt: skip
        two = settings.reinforcement
        return common | {
            "n_steps": two.rollout, "batch_size": two.batch, "n_epochs": two.epochs, "ent_coef": two.entropy,
            "clip_range": two.clip, "gamma": two.discount, "gae_lambda": two.trace, "vf_coef": two.value,
            "max_grad_norm": two.gradient, "learning_rate": functools.partial(falling_rate, two.learning_rate),
        }  # fmt: skip

    def _go_on(self, model: SequencePPO, envs: VecEnv, more: Mapping[str, Any]) -> None:
        """Bring environments to where they were."""
        observations = [
            envs.env_method("restore", place, indices=[number])[0] for number, place in enumerate(more["places"])
        ]
        model._last_obs = {name: np.stack([o[name] for o in observations]) for name in observations[0]}
        if isinstance(envs, TeacherDrives):
            envs.random.bit_generator.state = more["teacher"]["random"]
            envs.share, envs.shares = more["teacher"]["share"], np.array(more["teacher"]["shares"])
            envs.listen(model._last_obs)

    def _forget(self) -> None:
        """Remove the rollouts that imitation has learnt from."""
        shutil.rmtree(self.folder / REPLAY, ignore_errors=True)

    def finish(self) -> None:
        """Write the policy as it is at the end."""
        self._forget()
        policy = self.model.policy if self.model is not None else load_policy(self.checkpoint or self.folder)
        assert isinstance(policy, EncoderPolicy)
        self.save("last", policy, self.steps)
        if not (self.folder / "best.safetensors").is_file():
            self.save("best", policy, self.steps)
        write_text(self.folder / "card.yaml", to_yaml(self._card()))

    def save(self, name: str, policy: EncoderPolicy, steps: int, measures: Mapping[str, float] | None = None) -> None:
        """Write a policy, with what its environments are like."""
        save_policy(self.folder / f"{name}.safetensors", policy, policy_card(self.settings, steps, measures))

    def _card(self) -> ModelCard:
        settings, pool = self.settings, self.settings.pool
        lines = [json.loads(line) for line in read_text(self.curve).splitlines()] if self.curve.is_file() else []
        best = read_card(self.folder / "best.safetensors")
        goals = f"goals at {settings.goals_per_home} places of each" if settings.goals_per_home else "goals anywhere"
        title = f"{settings.learner.title}, {settings.size}"
        return ModelCard(
            summary=f"{title}, for {settings.task}; of all evaluations the best in SPL",
            task=settings.task,
            data=f"{pool.homes} generated homes of the train split, {goals}; sound: {settings.sound or 'none'}",
            seed=settings.seed,
            command=shlex.join(["harken", *sys.argv[1:]]) if Path(sys.argv[0]).stem == "harken" else "",
            steps=best["trained_steps"],
            seconds=round(self.seconds),
            curve=tuple((line["steps"], line["val/spl"]) for line in lines if "val/spl" in line),
            results={f"val {name}": best[name] for name in MEASURES if name in best},
        )


class _Watch(BaseCallback):
    """Between two rollouts: writes checkpoints and the curve, evaluates, and lets the teacher act less and less."""

    def __init__(self, run: _Run, name: str, envs: VecEnv, stepping: ThreadVecEnv | ProcessVecEnv):
        super().__init__()
        self.run, self.name, self.envs, self.stepping = run, name, envs, stepping
        self.bar: Any = None
        self.clock = time.perf_counter()
        self.collected = self.stepped = 0.0
        self.good: dict[str, torch.Tensor] = {}
        self.last = self.reported = 0

    def _on_training_start(self) -> None:
        from tqdm import tqdm

        self.last = self.reported = self.num_timesteps
        self.bar = tqdm(
            total=self.run.total, initial=self.num_timesteps, unit="step", desc=self.name, disable=not self.run.progress
        )
        if self.run.progress:
            self.bar.write(
                f"{self.name} in {self.envs.num_envs} environments, network on {self.model.device}; in turns: "
                f"{self.stepping.workers} {'process steps' if self.stepping.workers == 1 else 'processes step'} the "
                f"environments, one thread acts, {self.run.threads} learn."
            )

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        settings, steps = self.run.settings, self.num_timesteps
        if steps > self.last:
            self.check_finite()
            self._report()
            # First what a checkpoint says has been done.
            for every, act in ((settings.evaluate_every, self._evaluate), (settings.checkpoint_every, self._keep)):
                if every and steps // every > self.last // every:
                    act()
            self.last = steps
        if isinstance(self.envs, TeacherDrives):
            self.envs.share = max(0.0, 1.0 - steps / max(settings.imitation.teacher_steps, 1))
        self.envs.env_method("limit_distance", settings.curriculum.most_distance(steps))
        self.good = {name: weights.clone() for name, weights in self.model.policy.state_dict().items()}
        # Environments and network take turns, but torch's threads go on spinning for a while after they have worked.
        torch.set_num_threads(1)
        self.clock, self.stepped = time.perf_counter(), self.stepping.seconds

    def _on_rollout_end(self) -> None:
        self.collected = time.perf_counter() - self.clock
        torch.set_num_threads(self.run.threads)

    def check_finite(self) -> None:
        """Stop where weights are no numbers any more."""
        for name, weights in self.model.policy.state_dict().items():
            if not torch.isfinite(weights).all():
                update = self.model._n_updates
                policy = self.model.policy
                policy.load_state_dict(self.good)
                assert isinstance(policy, EncoderPolicy)
                self.run.save("last", policy, self.last)
                raise StateError(
                    f"Update {update} ({self.name}, step {self.num_timesteps}) made {name} not finite. The weights "
                    f"before it are in {str(self.run.folder / 'last.safetensors')!r}; train with a lower learning rate."
                )

    def _report(self) -> None:
        steps, whole = self.num_timesteps - self.reported, time.perf_counter() - self.clock
        stepped = self.stepping.seconds - self.stepped
        self.run.seconds += whole
        # Steps a second, and of each second the share that environments, the network's actions and learning take.
        rates = {
            "rate": steps / whole, "time/environments": stepped / whole,
            "time/actions": (self.collected - stepped) / whole, "time/learning": 1.0 - self.collected / whole,
        }  # fmt: skip
        infos = list(self.model.ep_info_buffer or ())
        means = {name: float(np.mean([info[name] for info in infos])) for name in ("r", *MEASURES)} if infos else {}
        values = {
            **rates,
            **{key: float(value) for key, value in self.logger.name_to_value.items() if key.startswith("train/")},
            **{f"episode/{'reward' if name == 'r' else name}": value for name, value in means.items()},
        }
        self._record(values)
        self.bar.update(self.num_timesteps - self.reported)
        self.reported = self.num_timesteps
        self.bar.set_postfix({name: f"{means[name]:.2f}" for name in ("success", "spl") if name in means})

    def _record(self, values: Mapping[str, float]) -> None:
        line = {"steps": self.num_timesteps, "stage": self.name, "seconds": round(self.run.seconds, 3), **values}
        with self.run.curve.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        for key, value in values.items():
            self.logger.record(key, value)
        self.logger.dump(self.num_timesteps)

    def end(self) -> None:
        """Do what is due at the end of a stage."""
        self.check_finite()
        self._report()
        if self.run.settings.evaluate_every:
            self._evaluate()
        self._keep()
        self.bar.close()

    def _keep(self) -> None:
        """Write a checkpoint and remove old ones."""
        places = self.envs.env_method("snapshot")
        card = policy_card(self.run.settings, self.num_timesteps)
        more: dict[str, Any] = {"places": places, "card": {"stage": self.name, **card}}
        if isinstance(self.envs, TeacherDrives):
            more["teacher"] = {
                "random": self.envs.random.bit_generator.state, "share": self.envs.share,
                "shares": self.envs.shares.tolist(),
            }  # fmt: skip
        assert isinstance(self.model, SequencePPO)
        save_training(self.run.folder / f"checkpoint-{self.num_timesteps:012d}.safetensors", self.model, more)
        for path in sorted(self.run.folder.glob("checkpoint-*.safetensors"))[:-CHECKPOINTS_KEPT]:
            path.unlink(missing_ok=True)
        if isinstance(self.model, Imitation) and self.model.replay is not None:
            self.model.replay.prune()

    def _evaluate(self) -> None:
        assert isinstance(self.model.policy, EncoderPolicy)
        if self.run.judge is None:
            return
        begin = time.perf_counter()
        means = dict(self.run.judge(self.model.policy, self.run.settings, self.num_timesteps))
        self.run.seconds += time.perf_counter() - begin
        self._record({f"val/{name}": value for name, value in means.items()})
        best = self.run.folder / "best.safetensors"
        if not best.is_file() or means["spl"] > read_card(best).get("spl", -1.0):  # none if it was never evaluated
            self.run.save("best", self.model.policy, self.num_timesteps, means)


def _logger(folder: Path) -> Logger:
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        return configure(str(folder / "log"), [])
    return configure(str(folder / "log"), ["tensorboard"])
