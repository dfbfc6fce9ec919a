(* Claims of the papers that a computation refutes. *)
From Coq Require Import QArith List Bool String ZArith.
From Cogfit Require Import streams.
Import ListNotations.
Open Scope Q_scope.
Open Scope string_scope.

(* Static: attending hangs on the query alone. *)
Definition is_static (r : router) := forall e e' : env, e "z" = e' "z" -> attend r e = attend r e'.
Definition sequence (z : list nat) := map (fun k => [(k, 1)]) z.
Definition known : formula := fun e => e "known".

(* Guessing: one pattern, V = 2, asked for twice. *)
Definition two_queries := Stream 1 2 (sequence [1; 1]%nat) false 1 1 false false.
Definition guesses := Router [] (fun _ => Num (2 # 5)) (fun _ => Many [Num (1 # 2); Num (1 # 2)]) [].

(*| cram-theorem-1
   English: "a static router must attend to (1 − ε)·f·n positions"
   Python: "a static router must attend to (1 − ε)·f·n positions"
   Scope: refuted for V = 2 and ε = 3/10: attend with probability 2/5 and guess otherwise. *)
Theorem guessing_beats_theorem_1 : let '(m, _) := measure two_queries guesses in
  is_static guesses /\ fine m = true /\ error m == (3 # 10) * asked m /\ attention m < (1 - (3 # 10)) * asked m.
Proof. vm_compute measure. repeat split. Qed.

(* The static coin that remembers, on N queries for one binary pattern: known is 0 until the value was seen. *)
Definition remembers (rate : Q) := Router
  [("known", fun _ => Num 0)] (fun _ => Num rate) (fun e => largest (known e) (Num 1))
  [("known", fun e => choose (e "attended") (e "value") (known e))].
Definition one_pattern (n : nat) := Stream 1 2 (sequence (List.repeat 1%nat n)) false 1 1 false false.

(*| cram-impossible
   English: "the reduction is impossible without consolidation"
   Python: "Attention that falls while accuracy stays is impossible without consolidation"
   Scope: refuted for one binary pattern, δ = 1/5 and N = 9, 18, 36: a static coin of 5/N attends five times,
   whatever N is, below (1 − 2δ)N, and errs at most δN times. *)
Theorem coin_beats_the_bound : forall n, In n [9; 18; 36]%nat ->
  let N := inject_Z (Z.of_nat n) in let r := remembers (5 / N) in let '(m, _) := measure (one_pattern n) r in
  is_static r /\ fine m = true /\ attention m == 5 /\ attention m < (1 - 2 * (1 # 5)) * N /\ error m <= (1 # 5) * N.
Proof.
intros n [<-|[<-|[<-|[]]]]; cbv zeta; vm_compute measure; repeat split; easy.
Qed.

(* SRCD: a query for the recurring key 1 at 7/200 of the positions, for a novel key 2 at 3/200; the value of key 1 is in
   the parameters. *)
Definition srcd := Stream 2 4 (List.repeat [(0, 190 # 200); (1, 7 # 200); (2, 3 # 200)]%nat 4) false 1 1 false false.
Definition trained := Router
  [("theta", fun e => entry (e "table") (Num 1))] (fun e => choose (equal (e "z") (Num 2)) (Num 1) (Num 0))
  (fun e => e "theta") [].

(*| cram-static
   English: "a static router needs at least 5 % attention on SRCD"
   Python: "A static router needs at least 5 % attention on SRCD"
   Scope: refuted with the recurring values in the parameters: no errors at 1.5 % of four positions. *)
Theorem static_at_one_and_a_half_percent : let '(m, _) := measure srcd trained in
  is_static trained /\ fine m = true /\ error m == 0 /\ attention m == (15 # 1000) * 4 /\ attention m < (5 # 100) * 4.
Proof.
vm_compute measure. split; [|repeat split; easy].
intros e e' same_query. unfold trained, attend. rewrite same_query. reflexivity.
Qed.

(* T10(c): three patterns, values of chance 1/4 and 3/4, one bit that says whether all are 0; then serve, else attend. *)
Definition bit (v : list bool) := negb (existsb (fun y => y) v).
Definition tables : list (list bool) := flat_map (fun a => flat_map (fun b => map (fun c => [a; b; c])
  [true; false]) [true; false]) [true; false].
Definition chance (v : list bool) : Q := fold_right (fun y p => Qred ((if y : bool then 1 # 4 else 3 # 4) * p)) 1 v.
Definition expected (X : list bool -> Q) : Q := fold_right (fun v s => Qred (chance v * X v + s)) 0 tables.
Definition attends (v : list bool) : Q := if bit v then 0 else 1.
Definition errs (v : list bool) : Q := if bit v && existsb (fun y => y) v then 1 else 0.

(*| T10
   English: "attention 1 − 27/64 = 37/64 = 0.578, where that form asks for 1 − 1/(3h(1/4)) = 0.589"
   Python: "need attention 37/64 without errors, where it would ask for 1 − 1/(3h(1/4)) > 37/64"
   Scope: the perspective form of T10(c) asks for (1 − a)·3·h(1/4) ≤ 1 bit with h(1/4) = 2 − (3/4)·log₂3, which at
   a = 37/64 is 2^392 ≤ 3^243: false, as computed. The attention is a = 37/64, without errors. *)
Theorem perspective_form_is_false :
  expected (fun _ => 1) == 1 /\ expected attends == 37 # 64 /\ expected errs == 0 /\ ~ (2 ^ 392 <= 3 ^ 243)%Z.
Proof.
split; [|split; [|split]]; try (vm_compute; reflexivity).
intros claimed. apply claimed. vm_compute. reflexivity.
Qed.
