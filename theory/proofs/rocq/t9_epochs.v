(* T9: how many epochs of one pattern are asked for, if it is redrawn with probability rho at each step.

   A step says whether the pattern is redrawn, then whether it is asked for; the two are independent of each other and of
   all other steps. The first query of an epoch is the one that T9 counts. *)
From Coq Require Import QArith Qfield Lqa Lia List Bool ZArith Arith.
Import ListNotations.
Open Scope Q_scope.
Local Arguments Qplus : simpl never.
Local Arguments Qminus : simpl never.
Local Arguments Qmult : simpl never.
Local Arguments Qeq : simpl never.
Local Arguments Qle : simpl never.

Section Epochs.
Variables rho q : Q.

(* The mean over one step, and over n of them. *)
Definition mean_step (X : bool * bool -> Q) : Q :=
  rho * (q * X (true, true) + (1 - q) * X (true, false)) + (1 - rho) * (q * X (false, true) + (1 - q) * X (false, false)).
Fixpoint mean (n : nat) (X : list (bool * bool) -> Q) : Q :=
  match n with O => X [] | S m => mean_step (fun s => mean m (fun rest => X (s :: rest))) end.

(* Queries that are the first of their epoch; fresh: the epoch was not asked for yet. *)
Fixpoint first_queries (fresh : bool) (steps : list (bool * bool)) : Q :=
  match steps with
  | [] => 0
  | (redrawn, asked) :: rest =>
      let now := redrawn || fresh in
      (if now && asked then 1 else 0) + first_queries (now && negb asked) rest
  end.

(* The chance that the epoch is fresh when step t + 1 asks. *)
Fixpoint x (t : nat) : Q := match t with O => 1 | S m => rho + (1 - rho) * ((1 - q) * x m) end.

Lemma mean_ext n X Y : (forall s, X s == Y s) -> mean n X == mean n Y.
Proof.
revert X Y. induction n as [|n IH]; simpl; intros X Y same; [apply same|].
unfold mean_step. rewrite !(IH (fun rest => X (_ :: rest)) (fun rest => Y (_ :: rest))) by (intro; apply same). reflexivity.
Qed.

Lemma mean_plus n c X : mean n (fun s => c + X s) == c + mean n X.
Proof.
revert X. induction n as [|n IH]; simpl; intro X; [reflexivity|].
unfold mean_step. rewrite !(IH (fun rest => X (_ :: rest))). ring.
Qed.

(* Fresh with chance y before a step. *)
Definition expected n (y : Q) := y * mean n (first_queries true) + (1 - y) * mean n (first_queries false).

Lemma expected_step n y (now := rho + (1 - rho) * y) :
  expected (S n) y == now * q + expected n (now * (1 - q)).
Proof.
unfold expected, now. simpl mean. unfold mean_step. simpl first_queries.
rewrite !(mean_plus n). cbn [orb andb negb]. ring.
Qed.

Fixpoint sum_from (n : nat) (y : Q) : Q :=
  match n with O => 0 | S m => let now := rho + (1 - rho) * y in q * now + sum_from m (now * (1 - q)) end.

(* Fresh with certainty at the start: the chances are x t. *)
Lemma expected_is n y : expected n y == sum_from n y.
Proof.
revert y. induction n as [|n IH]; intro y; [unfold expected; simpl; ring|].
rewrite expected_step, IH. simpl. ring.
Qed.

Fixpoint queried (n : nat) : Q := match n with O => 0 | S m => queried m + q * x m end.

Lemma sum_from_shift n t y : rho + (1 - rho) * y == x t -> sum_from n y + queried t == queried (n + t).
Proof.
revert t y. induction n as [|n IH]; intros t y fresh; [simpl; ring|].
replace (S n + t)%nat with (n + S t)%nat by lia.
assert (now : q * (rho + (1 - rho) * y) == q * x t) by (rewrite fresh; reflexivity).
rewrite <- (IH (S t) ((rho + (1 - rho) * y) * (1 - q))); simpl; [lra|]. rewrite fresh. ring.
Qed.

(*| T9
   English: "x_k(1) = 1, x_k(t+1) = ρ + (1−ρ)(1−q_k)·x_k(t)"
   Python: "x_k(1) = 1, x_k(t+1) = ρ + (1−ρ)(1−q_k)·x_k(t)"
   Scope: E[first queries of epochs] = Σ_{t<n} q x_t with x_1 = 1, x_{t+1} = ρ + (1−ρ)(1−q) x_t, for one pattern and rational
   ρ, q, as a weighted sum over all sequences of redraws and queries. *)
Theorem epochs_queried n : mean n (first_queries true) == queried n.
Proof.
assert (e := expected_is n 1). unfold expected in e.
assert (s := sum_from_shift n 0 1). rewrite Nat.add_0_r in s. simpl in s.
rewrite <- s by ring. rewrite <- e. ring.
Qed.

(* The chances fall to their limit rho/(rho + q - rho q), so that the cost per step never falls below q times it. *)
Hypothesis rho_range : 0 < rho <= 1.
Hypothesis q_range : 0 <= q <= 1.

Lemma fresh_at_least t (limit := rho / (rho + q - rho * q)) : limit <= x t.
Proof.
assert (d : 0 < rho + q - rho * q) by nra.
assert (l : limit * (rho + q - rho * q) == rho) by (unfold limit; field; lra).
assert (l1 : limit <= 1) by nra.
assert (fixed : rho + (1 - rho) * ((1 - q) * limit) == limit) by nra.
induction t as [|t IH]; simpl; [exact l1|]. rewrite <- fixed at 1.
assert (0 <= (1 - rho) * (1 - q)) by nra. nra.
Qed.

(*| T9
   English: "so the cost per step is at least B = Σ_k q_k·ρ/(ρ + q_k − ρq_k) for every n"
   Python: "so the cost per step is at least B = Σ_k q_k·ρ/(ρ + q_k − ρq_k) for every n"
   Scope: n steps ask for at least n·q·ρ/(ρ + q − ρq) first queries of epochs, for every n: the cost is linear. *)
Theorem linear_again n : inject_Z (Z.of_nat n) * (q * (rho / (rho + q - rho * q))) <= mean n (first_queries true).
Proof.
rewrite epochs_queried. induction n as [|n IH].
{ change (inject_Z (Z.of_nat 0)) with 0. rewrite Qmult_0_l. apply Qle_refl. }
simpl queried. rewrite Nat2Z.inj_succ. unfold Z.succ. rewrite inject_Z_plus.
assert (f := fresh_at_least n). cbv zeta in f. assert (one : inject_Z 1 == 1) by reflexivity. rewrite one.
set (limit := rho / (rho + q - rho * q)) in *. clearbody limit.
assert (q * limit <= q * x n) by (rewrite !(Qmult_comm q); apply Qmult_le_compat_r; [exact f|lra]). lra.
Qed.
End Epochs.
