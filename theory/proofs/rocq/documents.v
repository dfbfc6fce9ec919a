(* Certificates as statements, and tests that decide them: sound, so that a computation proves a certificate. *)
From Coq Require Import QArith Qfield Lqa Lia List Bool ZArith Arith.
Import ListNotations.
Open Scope Q_scope.
Local Arguments Qplus : simpl never.
Local Arguments Qminus : simpl never.
Local Arguments Qmult : simpl never.
Local Arguments Qdiv : simpl never.
Local Arguments Qred : simpl never.
Local Arguments Qeq : simpl never.
Local Arguments Qle : simpl never.
Local Arguments Qpower : simpl never.

(* ------------------------------------------------------------------------------- linear programs (lp-dual) *)

(* minimise c x over x >= 0 (free variables may be negative) subject to rows a x (>=, =, <=) b *)
Inductive relation := AtLeast | Equal | AtMost.
Record row := Row { coefficients : list Q; how : relation; bound : Q }.
Record program := Program { objective : list Q; rows : list row; free : list bool }.

Fixpoint dot (a x : list Q) : Q := match a, x with p :: a', q :: x' => p * q + dot a' x' | _, _ => 0 end.
Definition meets (r : row) (x : list Q) : Prop :=
  match how r with AtLeast => bound r <= dot (coefficients r) x | Equal => dot (coefficients r) x == bound r
  | AtMost => dot (coefficients r) x <= bound r end.
Fixpoint signs (f : list bool) (x : list Q) : Prop :=
  match f, x with b :: f', q :: x' => (b = true \/ 0 <= q) /\ signs f' x' | _, _ => True end.
Definition feasible (p : program) (x : list Q) : Prop :=
  length x = length (objective p) /\ signs (free p) x /\ Forall (fun r => meets r x) (rows p).

(* Coefficients by index; repeated ones add up. *)
Definition sparse (width : nat) (terms : list (nat * Q)) : list Q :=
  map (fun j => fold_right (fun t s => if Nat.eqb (fst t) j then Qred (snd t + s) else s) 0 terms) (seq 0 width).

(* The least value is v: no feasible point is below, one attains it. *)
Definition least_value (p : program) (v : Q) : Prop :=
  (forall x, feasible p x -> v <= dot (objective p) x) /\ exists x, feasible p x /\ dot (objective p) x == v.

(* Rows added up with multipliers. *)
Fixpoint plus (a b : list Q) : list Q :=
  match a, b with p :: a', q :: b' => Qred (p + q) :: plus a' b' | [], _ => b | _, [] => a end.
Definition scale (y : Q) (a : list Q) := map (fun p => Qred (y * p)) a.
Fixpoint combine_rows (y : list Q) (rs : list row) : list Q :=
  match y, rs with m :: y', r :: rs' => plus (scale m (coefficients r)) (combine_rows y' rs') | _, _ => [] end.
Fixpoint bound_of (y : list Q) (rs : list row) : Q :=
  match y, rs with m :: y', r :: rs' => Qred (m * bound r + bound_of y' rs') | _, _ => 0 end.

Lemma dot_plus a b x : dot (plus a b) x == dot a x + dot b x.
Proof.
revert b x. induction a as [|p a IH]; intros [|q b] [|r x]; simpl; try ring.
rewrite Qred_correct, IH. ring.
Qed.

Lemma dot_scale y a x : dot (scale y a) x == y * dot a x.
Proof.
revert x. induction a as [|p a IH]; intros [|r x]; simpl; try ring.
rewrite Qred_correct, IH. ring.
Qed.

Definition sign_fits (m : Q) (h : relation) : bool :=
  match h with AtLeast => Qle_bool 0 m | Equal => true | AtMost => Qle_bool m 0 end.
Fixpoint signs_fit (y : list Q) (rs : list row) : bool :=
  match y, rs with [], [] => true | m :: y', r :: rs' => sign_fits m (how r) && signs_fit y' rs' | _, _ => false end.

Lemma rows_bound y rs x : signs_fit y rs = true -> Forall (fun r => meets r x) rs ->
  bound_of y rs <= dot (combine_rows y rs) x.
Proof.
revert rs. induction y as [|m y IH]; intros [|r rs] fit met; simpl in *; try discriminate.
apply andb_prop in fit. destruct fit as [fit rest]. inversion met as [|r0 rs0 here more]. subst.
specialize (IH rs rest more). rewrite Qred_correct, dot_plus, dot_scale.
unfold sign_fits, meets in *. destruct (how r).
- apply Qle_bool_iff in fit. nra.
- rewrite here. lra.
- apply Qle_bool_iff in fit. nra.
Qed.

(* Reduced costs: c is above the sum of the rows, and equal to it where a variable is free. *)
Fixpoint reduced (c a : list Q) (f : list bool) : bool :=
  match c, a, f with
  | [], [], [] => true
  | p :: c', [], b :: f' => (if b then Qeq_bool p 0 else Qle_bool 0 p) && reduced c' [] f'
  | p :: c', q :: a', b :: f' => (if b then Qeq_bool p q else Qle_bool q p) && reduced c' a' f'
  | _, _, _ => false
  end.

Lemma reduced_bound c a f x : reduced c a f = true -> length x = length c -> signs f x -> dot a x <= dot c x.
Proof.
revert a f x. induction c as [|p c IH]; intros [|q a] [|b f] [|r x] ok len sg; simpl in *; try discriminate; try lra.
- apply andb_prop in ok. destruct ok as [here rest]. destruct sg as [sr sg]. injection len as len.
  assert (H := IH [] f x rest len sg). simpl in H. destruct b.
  + apply Qeq_bool_iff in here. rewrite here. lra.
  + apply Qle_bool_iff in here. destruct sr as [no|r0]; [discriminate|]. nra.
- apply andb_prop in ok. destruct ok as [here rest]. destruct sg as [sr sg]. injection len as len.
  assert (H := IH a f x rest len sg). destruct b.
  + apply Qeq_bool_iff in here. rewrite here. lra.
  + apply Qle_bool_iff in here. destruct sr as [no|r0]; [discriminate|]. nra.
Qed.

(* The tests, carried out with reduced fractions. *)
Fixpoint dot_fast (a x : list Q) : Q :=
  match a, x with p :: a', q :: x' => Qred (p * q + dot_fast a' x') | _, _ => 0 end.
Lemma dot_fast_is a x : dot_fast a x == dot a x.
Proof. revert x. induction a as [|p a IH]; intros [|q x]; simpl; try reflexivity. rewrite Qred_correct, IH. reflexivity. Qed.

Definition meets_test (x : list Q) (r : row) : bool :=
  let left := dot_fast (coefficients r) x in
  match how r with AtLeast => Qle_bool (bound r) left | Equal => Qeq_bool left (bound r) | AtMost => Qle_bool left (bound r) end.
Fixpoint signs_test (f : list bool) (x : list Q) : bool :=
  match f, x with b :: f', q :: x' => (b || Qle_bool 0 q) && signs_test f' x' | _, _ => true end.

Definition solves (p : program) (x y : list Q) (v : Q) : bool :=
  Nat.eqb (length x) (length (objective p)) && signs_test (free p) x && forallb (meets_test x) (rows p)
  && Qeq_bool (dot_fast (objective p) x) v
  && signs_fit y (rows p) && reduced (objective p) (combine_rows y (rows p)) (free p) && Qeq_bool (bound_of y (rows p)) v.

Lemma signs_test_is f x : signs_test f x = true -> signs f x.
Proof.
revert x. induction f as [|b f IH]; intros [|q x] ok; simpl in *; try exact I.
apply andb_prop in ok. destruct ok as [here rest]. split; [|exact (IH x rest)].
apply orb_prop in here. destruct here as [bt|q0]; [left; exact bt|right; apply Qle_bool_iff; exact q0].
Qed.

Lemma meets_test_is x r : meets_test x r = true -> meets r x.
Proof.
unfold meets_test, meets. destruct (how r); intro ok.
- rewrite <- dot_fast_is. apply Qle_bool_iff. exact ok.
- rewrite <- dot_fast_is. apply Qeq_bool_iff. exact ok.
- rewrite <- dot_fast_is. apply Qle_bool_iff. exact ok.
Qed.

(*| lp-dual
   Scope: weak duality: primal and dual solutions that are feasible and agree prove the least value. *)
Theorem solves_is_sound p x y v : solves p x y v = true -> least_value p v.
Proof.
unfold solves. rewrite !andb_true_iff. intros [[[[[[len sg] met] val] fit] red] dual].
apply Qeq_bool_iff in val. apply Qeq_bool_iff in dual. split.
- intros z [zlen [zs zm]]. rewrite <- dual.
  apply Qle_trans with (dot (combine_rows y (rows p)) z); [apply rows_bound; assumption|].
  apply reduced_bound with (free p); assumption.
- exists x. rewrite <- dot_fast_is. split; [|exact val]. split; [apply Nat.eqb_eq; exact len|].
  split; [apply signs_test_is; exact sg|]. apply Forall_forall. intros r here. apply meets_test_is.
  rewrite forallb_forall in met. apply met. exact here.
Qed.

(* -------------------------------------------------------------------------- decision processes (value-function) *)

(* A state is a list of actions, each with a cost and chances of states; a stage is a list of states. *)
Record action := Action { price : Q; to : list (Q * nat) }.
Definition stage := list (list action).

(* A state at a step has one cost here for each way to go on from it. A policy that throws coins, or looks back, costs a
   mean of such costs, so that none costs less than the least of them. *)
Fixpoint mean (law : list (Q * nat)) (v : nat -> Q) : Q :=
  match law with [] => 0 | (p, s) :: rest => p * v s + mean rest v end.

(* The expected costs that can be had from a state over the stages. *)
Inductive can_cost : list stage -> nat -> Q -> Prop :=
| at_end s : can_cost [] s 0
| act g rest s a (v : nat -> Q) : In a (nth s g []) -> (forall t, In t (map snd (to a)) -> can_cost rest t (v t)) ->
    can_cost (g :: rest) s (price a + mean (to a) v).

Definition least_cost (stages : list stage) (s : nat) (v : Q) : Prop :=
  (forall c, can_cost stages s c -> v <= c) /\ exists c, can_cost stages s c /\ c == v.

Fixpoint mean_fast (law : list (Q * nat)) (after : list Q) : Q :=
  match law with [] => 0 | (p, s) :: rest => Qred (p * nth s after 0 + mean_fast rest after) end.
Lemma mean_fast_is law after : mean_fast law after == mean law (fun s => nth s after 0).
Proof. induction law as [|[p s] law IH]; simpl; [reflexivity|]. rewrite Qred_correct, IH. reflexivity. Qed.

Definition cost_of (after : list Q) (a : action) := Qred (price a + mean_fast (to a) after).
Definition chances (a : action) := forallb (fun ps => Qle_bool 0 (fst ps)) (to a).

(* The value of a state is below every action's cost, and equal to one. *)
Definition state_test (after : list Q) (actions : list action) (v : Q) : bool :=
  forallb (fun a => chances a && Qle_bool v (cost_of after a)) actions && existsb (fun a => Qeq_bool (cost_of after a) v) actions.
Fixpoint stage_test (after : list Q) (g : stage) (now : list Q) : bool :=
  match g, now with
  | [], [] => true | actions :: g', v :: now' => state_test after actions v && stage_test after g' now' | _, _ => false
  end.
Definition inside (n : nat) (g : stage) := forallb (forallb (fun a => forallb (fun ps => Nat.ltb (snd ps) n) (to a))) g.

Fixpoint bellman (n : nat) (stages : list stage) (values : list (list Q)) : bool :=
  match stages, values with
  | [], [last] => Nat.eqb (length last) n && forallb (fun v => Qeq_bool v 0) last
  | g :: rest, now :: ((after :: _) as later) =>
      Nat.eqb (length now) n && inside n g && stage_test after g now && bellman n rest later
  | _, _ => false
  end.

Lemma mean_le law v w : forallb (fun ps => Qle_bool 0 (fst ps)) law = true ->
  (forall t, In t (map snd law) -> v t <= w t) -> mean law v <= mean law w.
Proof.
induction law as [|[p s] law IH]; simpl; intros pos le; [lra|].
apply andb_prop in pos. destruct pos as [p0 pos]. apply Qle_bool_iff in p0. simpl in p0.
assert (H := IH pos (fun t i => le t (or_intror i))). assert (h := le s (or_introl eq_refl)). nra.
Qed.

Lemma mean_eq law v w : (forall t, In t (map snd law) -> v t == w t) -> mean law v == mean law w.
Proof.
induction law as [|[p s] law IH]; simpl; intro e; [reflexivity|].
rewrite (IH (fun t i => e t (or_intror i))), (e s (or_introl eq_refl)). reflexivity.
Qed.

Lemma stage_test_at after g now s : stage_test after g now = true -> (s < length now)%nat ->
  state_test after (nth s g []) (nth s now 0) = true.
Proof.
revert now s. induction g as [|actions g IH]; intros [|v now] [|s] ok lt; simpl in *; try discriminate; try lia.
- apply andb_prop in ok. exact (proj1 ok).
- apply andb_prop in ok. apply IH; [exact (proj2 ok)|lia].
Qed.

Lemma inside_at n g s a t : inside n g = true -> In a (nth s g []) -> In t (map snd (to a)) -> (t < n)%nat.
Proof.
intros ins ia it. unfold inside in ins. rewrite forallb_forall in ins.
assert (ig : In (nth s g []) g).
{ destruct (Nat.lt_ge_cases s (length g)) as [lt|ge]; [apply nth_In; exact lt|].
  rewrite nth_overflow in ia by exact ge. destruct ia. }
specialize (ins _ ig). rewrite forallb_forall in ins. specialize (ins _ ia). rewrite forallb_forall in ins.
apply in_map_iff in it. destruct it as [ps [<- ip]]. apply Nat.ltb_lt. exact (ins _ ip).
Qed.

Lemma bellman_least n stages values s : bellman n stages values = true -> (s < n)%nat ->
  least_cost stages s (nth s (hd [] values) 0).
Proof.
revert values s. induction stages as [|g stages IH]; intros [|now [|after later]] s ok lt; simpl in ok; try discriminate.
- apply andb_prop in ok. destruct ok as [len zero]. apply Nat.eqb_eq in len. rewrite forallb_forall in zero.
  assert (z : nth s now 0 == 0).
  { apply Qeq_bool_iff. apply zero. apply nth_In. lia. }
  simpl. split; [intros c can; inversion can; subst; rewrite z; lra|]. exists 0. split; [constructor|symmetry; exact z].
- rewrite !andb_true_iff in ok. destruct ok as [[[len ins] test] rest]. apply Nat.eqb_eq in len.
  assert (here := stage_test_at after g now s test ltac:(lia)). unfold state_test in here.
  apply andb_prop in here. destruct here as [below attained]. simpl hd. split.
  + intros c can. inversion can as [|g0 rest0 s0 a v ia later0]. subst.
    rewrite forallb_forall in below. specialize (below a ia). apply andb_prop in below. destruct below as [pos le].
    apply Qle_bool_iff in le. unfold cost_of in le. rewrite Qred_correct, mean_fast_is in le.
    apply Qle_trans with (1 := le). apply Qplus_le_r. apply mean_le; [exact pos|]. intros t it.
    exact (proj1 (IH (after :: later) t rest (inside_at _ g s a t ins ia it)) _ (later0 t it)).
  + apply existsb_exists in attained. destruct attained as [a [ia eq]]. apply Qeq_bool_iff in eq.
    assert (choice : forall l : list nat, (forall t, In t l -> (t < n)%nat) -> exists v : nat -> Q,
      forall t, In t l -> can_cost stages t (v t) /\ v t == nth t after 0).
    { induction l as [|t l IHl]; intro all; [exists (fun _ => 0); intros t []|].
      destruct (IHl (fun u i => all u (or_intror i))) as [v hv].
      destruct (proj2 (IH (after :: later) t rest (all t (or_introl eq_refl)))) as [c [can ce]].
      exists (fun u => if Nat.eqb u t then c else v u). intros u [e|i].
      - subst u. rewrite Nat.eqb_refl. split; assumption.
      - destruct (Nat.eqb_spec u t) as [->|ne]; [split; assumption|exact (hv u i)]. }
    destruct (choice (map snd (to a)) (fun t it => inside_at n g s a t ins ia it)) as [v hv].
    exists (price a + mean (to a) v). split.
    * constructor; [exact ia|]. intros t it. exact (proj1 (hv t it)).
    * rewrite <- eq. unfold cost_of. rewrite Qred_correct, mean_fast_is. apply Qplus_inj_l.
      apply mean_eq. intros t it. exact (proj2 (hv t it)).
Qed.

Definition decides (n : nat) (stages : list stage) (values : list (list Q)) (s : nat) (v : Q) : bool :=
  bellman n stages values && Nat.ltb s n && Qeq_bool (nth s (hd [] values) 0) v.

(*| value-function
   Scope: Bellman's inequalities, with equality for one action of each state, prove the least expected cost. *)
Theorem decides_is_sound n stages values s v : decides n stages values s v = true -> least_cost stages s v.
Proof.
unfold decides. rewrite !andb_true_iff. intros [[ok lt] eq]. apply Nat.ltb_lt in lt. apply Qeq_bool_iff in eq.
destruct (bellman_least n stages values s ok lt) as [below [c [can ce]]]. split.
- intros d cd. rewrite <- eq. exact (below d cd).
- exists c. split; [exact can|]. rewrite ce. exact eq.
Qed.

(* ------------------------------------------------------------------------------ rational expressions (identity) *)

Inductive term :=
| Number (q : Q) | Name (n : nat) | Add (s t : term) | Sub (s t : term) | Mul (s t : term) | Div (s t : term)
| Pow (s : term) (n : nat).

(* Whole powers are products; an exponent below 0 is written as a quotient. *)
Fixpoint times (q : Q) (n : nat) : Q := match n with O => 1 | S m => q * times q m end.

Fixpoint value (e : nat -> Q) (t : term) : Q :=
  match t with
  | Number q => q | Name n => e n | Add s t => value e s + value e t | Sub s t => value e s - value e t
  | Mul s t => value e s * value e t | Div s t => value e s / value e t | Pow s n => times (value e s) n
  end.
Fixpoint defined (e : nat -> Q) (t : term) : Prop :=
  match t with
  | Number _ | Name _ => True
  | Add s t | Sub s t | Mul s t => defined e s /\ defined e t
  | Div s t => defined e s /\ defined e t /\ ~ value e t == 0
  | Pow s _ => defined e s
  end.

(* One numerator over one denominator, without division. *)
Fixpoint fraction (e : nat -> Q) (t : term) : Q * Q :=
  match t with
  | Number q => (q, 1)
  | Name n => (e n, 1)
  | Add s t => let '(a, b) := fraction e s in let '(c, d) := fraction e t in (a * d + c * b, b * d)
  | Sub s t => let '(a, b) := fraction e s in let '(c, d) := fraction e t in (a * d - c * b, b * d)
  | Mul s t => let '(a, b) := fraction e s in let '(c, d) := fraction e t in (a * c, b * d)
  | Div s t => let '(a, b) := fraction e s in let '(c, d) := fraction e t in (a * d, b * c)
  | Pow s n => let '(a, b) := fraction e s in (times a n, times b n)
  end.

Lemma times_nonzero q n : ~ q == 0 -> ~ times q n == 0.
Proof.
intro nz. induction n as [|n IH]; simpl; [discriminate|]. intro z.
apply Qmult_integral in z. destruct z; contradiction.
Qed.

Lemma times_quotient a b n : ~ b == 0 -> times a n / times b n == times (a / b) n.
Proof.
intro nz. induction n as [|n IH]; simpl; [reflexivity|]. rewrite <- IH.
assert (m := times_nonzero b n nz). field. split; assumption.
Qed.

Lemma product_nonzero p q : ~ p == 0 -> ~ q == 0 -> ~ p * q == 0.
Proof. intros np nq z. apply Qmult_integral in z. destruct z; contradiction. Qed.

Lemma fraction_is e t : defined e t -> ~ snd (fraction e t) == 0 /\ value e t == fst (fraction e t) / snd (fraction e t).
Proof.
induction t as [q|n|s IHs t IHt|s IHs t IHt|s IHs t IHt|s IHs t IHt|s IHs n]; simpl; intro d.
- split; [discriminate|field].
- split; [discriminate|field].
- destruct d as [ds dt]. destruct (IHs ds) as [ns vs], (IHt dt) as [nt vt].
  destruct (fraction e s) as [a b], (fraction e t) as [c f]. simpl in *.
  split; [apply product_nonzero; assumption|]. rewrite vs, vt. field. split; assumption.
- destruct d as [ds dt]. destruct (IHs ds) as [ns vs], (IHt dt) as [nt vt].
  destruct (fraction e s) as [a b], (fraction e t) as [c f]. simpl in *.
  split; [apply product_nonzero; assumption|]. rewrite vs, vt. field. split; assumption.
- destruct d as [ds dt]. destruct (IHs ds) as [ns vs], (IHt dt) as [nt vt].
  destruct (fraction e s) as [a b], (fraction e t) as [c f]. simpl in *.
  split; [apply product_nonzero; assumption|]. rewrite vs, vt. field. split; assumption.
- destruct d as [ds [dt nz]]. destruct (IHs ds) as [ns vs], (IHt dt) as [nt vt].
  destruct (fraction e s) as [a b], (fraction e t) as [c f]. simpl in *.
  assert (nc : ~ c == 0). { intro z. apply nz. rewrite vt, z. field. exact nt. }
  split; [apply product_nonzero; assumption|]. rewrite vs, vt. field. repeat split; assumption.
- destruct (IHs d) as [ns vs]. destruct (fraction e s) as [a b]. simpl in *.
  split; [apply times_nonzero; exact ns|]. rewrite times_quotient by exact ns.
  clear IHs. induction n as [|n IH]; simpl; [reflexivity|]. rewrite IH, vs. reflexivity.
Qed.

Definition same_everywhere (l r : term) : Prop := forall e, defined e l -> defined e r -> value e l == value e r.
Definition crosswise (l r : term) : Prop := forall e,
  fst (fraction e l) * snd (fraction e r) == fst (fraction e r) * snd (fraction e l).

(*| identity
   Scope: two rational expressions agree wherever both are defined, if crosswise products are one polynomial. *)
Theorem crosswise_is_sound l r : crosswise l r -> same_everywhere l r.
Proof.
intros c e dl dr. destruct (fraction_is e l dl) as [nl vl], (fraction_is e r dr) as [nr vr]. specialize (c e).
rewrite vl, vr. apply Qmult_inj_r with (snd (fraction e l) * snd (fraction e r)); [apply product_nonzero; assumption|].
transitivity (fst (fraction e l) * snd (fraction e r)); [field; assumption|]. rewrite c. field. assumption.
Qed.
