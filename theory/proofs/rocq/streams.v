(* Routers on small streams, run exactly: the language of certificates, and what a router does on every table.

   Nothing is proved here: these are the definitions to which counterexamples are computed. *)
From Coq Require Import QArith Qround List Bool String ZArith.
Import ListNotations.
Open Scope Q_scope.

(* Values of formulas: exact numbers, truth values, lists. Bad is what cannot be evaluated; it is never accepted. *)
Inductive val := Num (q : Q) | Truth (b : bool) | Many (l : list val) | Bad.

Fixpoint same (u v : val) : bool :=
  match u, v with
  | Num p, Num q => Qeq_bool p q
  | Truth a, Truth b => Bool.eqb a b
  | Many k, Many l => (fix all k l := match k, l with
      | [], [] => true | x :: k', y :: l' => same x y && all k' l' | _, _ => false end) k l
  | _, _ => false
  end.

Definition whole (v : val) : option Z :=
  match v with Num q => let r := Qred q in if (Qden r =? 1)%positive then Some (Qnum r) else None | _ => None end.
Definition of_Z (z : Z) := Num (inject_Z z).
Definition of_nat (n : nat) := of_Z (Z.of_nat n).

Definition two (f : Q -> Q -> val) (u v : val) := match u, v with Num p, Num q => f p q | _, _ => Bad end.
Definition add := two (fun p q => Num (Qred (p + q))).
Definition subtract := two (fun p q => Num (Qred (p - q))).
Definition multiply := two (fun p q => Num (Qred (p * q))).
Definition divide := two (fun p q => if Qeq_bool q 0 then Bad else Num (Qred (p / q))).
Definition floor_divide := two (fun p q => if Qeq_bool q 0 then Bad else of_Z (Qfloor (p / q))).
Definition modulo := two (fun p q => if Qeq_bool q 0 then Bad else Num (Qred (p - q * inject_Z (Qfloor (p / q))))).
Definition power (u v : val) :=
  match u, whole v with
  | Num p, Some n => if Qeq_bool p 0 && (n <? 0)%Z then Bad else Num (Qred (Qpower p n))
  | _, _ => Bad
  end.
Definition negate := subtract (Num 0).
Definition at_most := two (fun p q => Truth (Qle_bool p q)).
Definition less := two (fun p q => Truth (negb (Qle_bool q p))).
Definition largest := two (fun p q => Num (if Qle_bool p q then q else p)).
Definition smallest := two (fun p q => Num (if Qle_bool p q then p else q)).
Definition equal (u v : val) := match u, v with Bad, _ | _, Bad => Bad | _, _ => Truth (same u v) end.

Definition truth (v : val) : option bool :=
  match v with
  | Num q => Some (negb (Qeq_bool q 0)) | Truth b => Some b | Many [] => Some false | Many _ => Some true | Bad => None
  end.
Definition opposite (v : val) := match truth v with Some b => Truth (negb b) | None => Bad end.
Definition choose (c u v : val) := match truth c with Some true => u | Some false => v | None => Bad end.
Definition conjunction (u v : val) := choose u (opposite (opposite v)) (Truth false).
Definition disjunction (u v : val) := choose u (Truth true) (opposite (opposite v)).

Definition entry (v i : val) :=
  match v, whole i with Many l, Some n => if (n <? 0)%Z then Bad else nth (Z.to_nat n) l Bad | _, _ => Bad end.
Fixpoint put_at (l : list val) (n : nat) (x : val) : option (list val) :=
  match l, n with
  | [], _ => None
  | _ :: l', O => Some (x :: l')
  | y :: l', S n' => option_map (cons y) (put_at l' n' x)
  end.
Definition put (v i x : val) :=
  match v, whole i with
  | Many l, Some n => if (n <? 0)%Z then Bad else match put_at l (Z.to_nat n) x with Some m => Many m | None => Bad end
  | _, _ => Bad
  end.
Definition repeated (x n : val) :=
  match whole n with Some k => if (k <? 0)%Z then Bad else Many (List.repeat x (Z.to_nat k)) | None => Bad end.
Definition size (v : val) := match v with Many l => of_nat (List.length l) | _ => Bad end.
Definition sum_over (low high : val) (term : val -> val) :=
  match whole low, whole high with
  | Some a, Some b => fold_left add (map (fun i => term (of_Z (a + Z.of_nat i))) (seq 0 (Z.to_nat (b - a + 1)))) (Num 0)
  | _, _ => Bad
  end.

(* Names and what they stand for. *)
Definition env := string -> val.
Definition nothing : env := fun _ => Bad.
Definition bind (name : string) (v : val) (e : env) : env := fun n => if String.eqb n name then v else e n.
Fixpoint bind_all (names : list string) (vs : list val) (e : env) : env :=
  match names, vs with n :: names', v :: vs' => bind n v (bind_all names' vs' e) | _, _ => e end.
Definition formula := env -> val.

(* A stream of queries (pattern 0: none), each with its chances; a coin thrown once, a die thrown at each step. *)
Record stream := Stream {
  patterns : nat; values : nat; queries : list (list (nat * Q)); feedback : bool; coin : nat; die : nat;
  count : bool; (* whether formulas use counts *)
  track : bool  (* whether unrevealed errors and distinct patterns are asked for *) }.
Record router := Router {
  memory : list (string * formula); attend : formula; guess : formula; update : list (string * formula) }.

(* Memory, earlier queries of each pattern, patterns whose value was shown, patterns asked for. *)
Definition state := (list val * list val * list bool * list bool)%type.
Definition same_state (a b : state) :=
  let '(m, c, r, s) := a in let '(m', c', r', s') := b in
  same (Many m) (Many m') && same (Many c) (Many c')
  && same (Many (map Truth r)) (Many (map Truth r')) && same (Many (map Truth s)) (Many (map Truth s')).

(* What is added up; fine is lost where a formula gives no probability, no value, or cannot be evaluated. *)
Record totals := Totals {
  attention : Q; error : Q; asked : Q; unrevealed_error : Q; distinct : Q; fine : bool }.
Definition none := Totals 0 0 0 0 0 true.

Fixpoint gather (s : state) (mass : Q) (states : list (state * Q)) : list (state * Q) :=
  match states with
  | [] => [(s, mass)]
  | (t, m) :: rest => if same_state s t then (t, Qred (m + mass)) :: rest else (t, m) :: gather s mass rest
  end.

Fixpoint all_tables (n v : nat) : list (list nat) :=
  match n with
  | O => [[]]
  | S n' => flat_map (fun y => map (cons y) (all_tables n' v)) (seq 1 v)
  end.

Definition is_chance (v : val) := match v with Num q => Qle_bool 0 q && Qle_bool q 1 | _ => false end.
Definition number (v : val) := match v with Num q => q | _ => 0 end.
Definition total_of (l : list val) := fold_left (fun s v => Qred (s + number v)) l 0.

(* The chance that an output is the value y, and whether the output is one of V values, or a law over them. *)
Definition chance_right (output : val) (y v : nat) : Q :=
  match output with Many l => number (nth (y - 1) l Bad) | _ => if same output (of_nat y) then 1 else 0 end.
Definition is_output (output : val) (v : nat) : bool :=
  match output with
  | Many l => (List.length l =? v)%nat && forallb is_chance l && Qeq_bool (total_of l) 1
  | _ => existsb (fun y => same output (of_nat y)) (seq 1 v)
  end.

Definition set_true (l : list bool) (n : nat) : list bool :=
  map (fun p => let '(i, b) := p in b || (i =? n)%nat) (combine (seq 0 (List.length l)) l).

Section Play.
Variables (S : stream) (r : router) (table : list nat) (throw : nat).
Let names := map fst (memory r).
Let fixed := bind "K" (of_nat (patterns S)) (bind "V" (of_nat (values S)) (bind "coin" (of_nat throw) nothing)).
Let value_of (z : nat) := nth z (O :: table) O.

Definition initial : state :=
  (map (fun f => snd f (bind "table" (Many (map of_nat (O :: table))) fixed)) (memory r),
   if count S then List.repeat (Num 0) (patterns S + 1) else [],
   if track S then List.repeat false (patterns S + 1) else [],
   if track S then List.repeat false (patterns S + 1) else []).

Definition successor (e : env) (s : state) (z : nat) (attended : bool) : state :=
  let '(m, c, shown, seen) := s in
  let visible := (attended || feedback S && negb (z =? 0)%nat)%bool in
  let after := bind "attended" (Num (if attended then 1 else 0))
    (bind "value" (of_nat (if visible then value_of z else O)) e) in
  let changed name := find (fun f => String.eqb (fst f) name) (update r) in
  let renew name := match changed name with Some f => snd f after | None => e name end in
  (map renew names,
   if count S && negb (z =? 0)%nat then
     match put_at c z (add (nth z c Bad) (Num 1)) with Some c' => c' | None => [Bad] end else c,
   if visible then set_true shown z else shown,
   if (z =? 0)%nat then seen else set_true seen z).

(* One state, one query, one throw of the die. *)
Definition outcome (t : nat) (sm : state * Q) (zp : nat * Q) (d : nat) (acc : totals * list (state * Q)) :=
  let '(s, mass) := sm in let '(z, p) := zp in let '(m, c, shown, seen) := s in let '(sums, next) := acc in
  let weight := Qred (mass * p / inject_Z (Z.of_nat (die S))) in
  let e := bind "t" (of_nat t) (bind "z" (of_nat z) (bind "die" (of_nat d)
    (bind_all names m (if count S then bind "counts" (Many c) fixed else fixed)))) in
  let a := if (z =? 0)%nat then Num 0 else attend r e in
  let skips := negb (z =? 0)%nat && negb (Qeq_bool (number a) 1) in
  let output := if skips then guess r e else of_nat 1 in
  let wrong := if skips then 1 - chance_right output (value_of z) (values S) else 0 in
  let err := Qred (weight * (1 - number a) * wrong) in
  let is_query := if (z =? 0)%nat then 0 else weight in
  let sums' := Totals (Qred (attention sums + weight * number a)) (Qred (error sums + err))
    (Qred (asked sums + is_query))
    (Qred (unrevealed_error sums + if nth z shown true then 0 else err))
    (Qred (distinct sums + if nth z seen true then 0 else is_query))
    (fine sums && is_chance a && is_output output (values S)
      && negb (existsb (fun v => match v with Bad => true | _ => false end) (m ++ c))) in
  let reach attended part next :=
    if Qeq_bool part 0 then next else gather (successor e s z attended) (Qred part) next in
  (sums', reach false (weight * (1 - number a)) (reach true (weight * number a) next)).

Definition each_query (t : nat) (law : list (nat * Q)) sm acc :=
  fold_left (fun acc zp => fold_left (fun acc d => outcome t sm zp d acc) (seq 0 (die S)) acc) law acc.
Definition next_states (t : nat) law (acc : totals * list (state * Q)) :=
  fold_left (fun acc sm => each_query t law sm acc) (snd acc) (fst acc, []).

(* Totals, and the states that occur at the start and after every step. *)
Fixpoint play (t : nat) (laws : list (list (nat * Q))) (acc : totals * list (state * Q)) : totals * list (list state) :=
  match laws with
  | [] => (fst acc, [map fst (snd acc)])
  | law :: rest =>
      let '(sums, occurring) := play (t + 1) rest (next_states t law acc) in
      (sums, map fst (snd acc) :: occurring)
  end.
End Play.

(* Contents of the memory that occur at each step, over all tables. *)
Fixpoint distinct_contents (l : list (list val)) : list (list val) :=
  match l with
  | [] => []
  | m :: rest => let known := distinct_contents rest in
      if existsb (fun n => same (Many m) (Many n)) known then known else m :: known
  end.
Definition contents_of (s : state) := let '(m, _, _, _) := s in m.
Fixpoint together (a b : list (list (list val))) : list (list (list val)) :=
  match a, b with x :: a', y :: b' => distinct_contents (x ++ y) :: together a' b' | [], _ => b | _, [] => a end.

Definition run_coin (S : stream) (r : router) (throw : nat) (sums : totals) : totals * nat :=
  let tables := all_tables (patterns S) (values S) in
  let weight := Qred (1 / inject_Z (Z.of_nat (List.length tables * coin S))) in
  let '(sums', occurring) := fold_left (fun acc table =>
    let '(sums, occurring) := acc in
    let '(more, states) := play S r table throw 1 (queries S) (sums, [(initial S r table throw, weight)]) in
    (more, together occurring (map (map contents_of) states))) tables (sums, []) in
  (sums', fold_left Nat.max (map (@List.length _) occurring) O).

Definition measure (S : stream) (r : router) : totals * nat :=
  fold_left (fun acc throw => let '(sums, most) := acc in
    let '(sums', here) := run_coin S r throw sums in (sums', Nat.max most here)) (seq 0 (coin S)) (none, O).

(* Relations between what was measured, by name. *)
Definition measured (S : stream) (r : router) : env * bool :=
  let '(sums, most) := measure S r in
  (bind "attention" (Num (attention sums)) (bind "error" (Num (error sums)) (bind "queries" (Num (asked sums))
    (bind "contents" (of_nat most) (bind "K" (of_nat (patterns S)) (bind "V" (of_nat (values S))
    (if track S then bind "unrevealed_error" (Num (unrevealed_error sums)) (bind "distinct" (Num (distinct sums)) nothing)
     else nothing)))))), fine sums).

Definition holds (S : stream) (r : router) (facts : list formula) : bool :=
  let '(e, fine) := measured S r in
  fine && forallb (fun fact => match fact e with Truth b => b | _ => false end) facts.
